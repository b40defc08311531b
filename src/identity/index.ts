/**
 * Who this node is: an Ed25519 key in `HOME/identity.key`, from which peer id and `did:key` follow. And the form in which
 * the node's secrets lie on disk.
 *
 * ```ts
 * const { privateKey, peerId, did } = await loadOrCreateIdentity({ path: join(home, 'identity.key') })
 * ```
 */
import { randomBytes } from 'node:crypto'
import type { Ed25519PeerId, Ed25519PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { SEED_BYTES } from '../../protocols/shared/ed25519.ts'
import { didFromPeerId } from './did.ts'
import { ed25519FromSeed } from './ed25519.ts'
import { IDENTITY_FORM } from './errors.ts'
import { loadOrCreateSecret, type SecretFileOptions, type SecretKind } from './secret-file.ts'

export { didFromPeerId } from './did.ts'
export { createKeyFile, readKeyFile } from './disk.ts'
export { type KeyWords, OWNER_FORM, SWARM_FORM } from './errors.ts'
export { ed25519FromSeed } from './ed25519.ts'
export { phraseOf, secretOf } from './phrase.ts'
export { SealedRows } from './sealed-rows.ts'
export {
  type LoadedSecret,
  loadOrCreateSecret,
  type PassphrasePurpose,
  replaceSecret,
  type SecretFileOptions,
  type SecretKind,
} from './secret-file.ts'

export interface Identity {
  readonly privateKey: Ed25519PrivateKey
  readonly peerId: Ed25519PeerId
  /** `did:key:z6Mk…` */
  readonly did: string
}

export interface LoadedIdentity extends Identity {
  /** True when the key was made just now. */
  readonly created: boolean
  /** True when the file is encrypted now. */
  readonly encrypted: boolean
}

const IDENTITY_KIND: SecretKind = {
  form: IDENTITY_FORM,
  make: async () => randomBytes(SEED_BYTES),
  nameOf: async (seed) => peerIdFromPrivateKey(ed25519FromSeed(seed)).toString(),
}

/**
 * Reads the node's key, or makes one where there is none. A file that is there is never overwritten, whatever is wrong
 * with it. `encrypt` is `identity.encrypt`.
 *
 * @throws ERR_IDENTITY_INVALID, ERR_IDENTITY_EXPOSED (others may use the file), ERR_IDENTITY_UNREADABLE,
 * ERR_PASSPHRASE_NEEDED, ERR_PASSPHRASE_WRONG
 */
export async function loadOrCreateIdentity(options: SecretFileOptions): Promise<LoadedIdentity> {
  const { secret, created, encrypted } = await loadOrCreateSecret(IDENTITY_KIND, options)
  const privateKey = ed25519FromSeed(secret)
  const peerId = peerIdFromPrivateKey(privateKey)
  return { privateKey, peerId, did: didFromPeerId(peerId), created, encrypted }
}
