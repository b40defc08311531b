import type { Libp2p } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { PROVIDE_TIMEOUT_MS } from './limits.ts'

const SHA2_256 = 0x12
const SHA2_256_BYTES = 32

/**
 * Whether nodes of the DHT keep records of such a CID: kad-dht reads the key of a record as a CID, and what it reads there
 * is a multihash, which is a CID only for SHA-256.
 */
export function isProvidable({ multihash }: CID): boolean {
  return multihash.code === SHA2_256 && multihash.digest.byteLength === SHA2_256_BYTES
}

/**
 * Announces one CID by every router; throws unless at least one node has taken the record. kad-dht itself resolves whether
 * or not anybody has, and tells by its progress.
 */
export async function announce(
  { contentRouting }: Pick<Libp2p, 'contentRouting'>,
  cid: CID,
  signal: AbortSignal,
): Promise<void> {
  let taken = 0
  await contentRouting.provide(cid, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(PROVIDE_TIMEOUT_MS)]),
    onProgress: (event: { type: string; detail?: unknown }) => {
      if (event.type === 'kad-dht:query:peer-response' && messageOf(event.detail) === ADD_PROVIDER) taken += 1
    },
  })
  signal.throwIfAborted()
  if (taken === 0) throw new Error('no node of the DHT took the record')
}

const ADD_PROVIDER = 'ADD_PROVIDER'

function messageOf(detail: unknown): string | undefined {
  const name = (detail as { messageName?: unknown } | undefined)?.messageName
  return typeof name === 'string' ? name : undefined
}
