import { randomBytes } from 'node:crypto'
import type { Libp2pOptions } from 'libp2p'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import { createKeyFile, type KeyWords, readKeyFile } from '../identity/index.ts'

const KEY_BYTES = 32
const HEADER = '/key/swarm/psk/1.0.0/\n/base16/\n'

const WORDS: KeyWords = {
  code: 'ERR_NETWORK_KEY',
  noun: "network's pre-shared key",
  afresh: 'bring it from another node of the network',
}

/**
 * The pre-shared key of a network, in the form and under the name that Kubo has: HOME/swarm.key (libp2p's
 * specification "Pre-shared Key Based Private Networks", version 1). Undefined where there is none.
 *
 * @throws ERR_NETWORK_KEY_INVALID, ERR_NETWORK_KEY_EXPOSED (others may use the file), ERR_NETWORK_KEY_UNREADABLE
 */
export async function readNetworkKey(path: string): Promise<Uint8Array | undefined> {
  const text = await readKeyFile(path, WORDS)
  if (text === undefined) return undefined
  const [, hex] = /^\/key\/swarm\/psk\/1\.0\.0\/\s+\/base16\/\s+([0-9a-f]{64})\s*$/i.exec(text) ?? []
  if (hex === undefined) {
    throw new P2pnodeError(
      'ERR_NETWORK_KEY_INVALID',
      'failed',
      `${path} is not a key of the form that Kubo writes: "/key/swarm/psk/1.0.0/", "/base16/" and 64 hexadecimal digits, each on a line`,
      { details: { path } },
    )
  }
  return Buffer.from(hex, 'hex')
}

/**
 * Writes a key where there is none; a new one where none is given.
 *
 * @throws ERR_NETWORK_KEY_OTHER where there is another one, and as `readNetworkKey`
 */
export async function storeNetworkKey(path: string, key?: Uint8Array): Promise<void> {
  const made = key ?? randomBytes(KEY_BYTES)
  if (await createKeyFile(path, networkKeyText(made), WORDS)) return
  const known = await readNetworkKey(path)
  if (key === undefined || (known !== undefined && Buffer.compare(known, key) === 0)) return
  throw new P2pnodeError(
    'ERR_NETWORK_KEY_OTHER',
    'conflict',
    `${path} holds the key of another network, and is not overwritten; move it away first`,
    { details: { path } },
  )
}

function networkKeyText(key: Uint8Array): string {
  return `${HEADER}${Buffer.from(key).toString('hex')}\n`
}

export type NetworkProtector = NonNullable<Libp2pOptions['connectionProtector']>

/** Puts connections under a key. Its code is loaded for the few networks that have one. */
export async function networkProtector(key: Uint8Array): Promise<NetworkProtector> {
  const { preSharedKey } = await import('@libp2p/pnet')
  return preSharedKey({ psk: Buffer.from(networkKeyText(key).trimEnd()) })
}

/** The node is told to use a key that is not there. */
export function networkKeyMissing(path: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_NETWORK_KEY_MISSING',
    'usage',
    `network.psk is on and ${path} is not there: copy it from another node of the network, or make the swarm with p2pnode swarm create --psk before`,
    { details: { path } },
  )
}
