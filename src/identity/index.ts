/**
 * Who this node is: an Ed25519 key in `HOME/identity.key`, from which peer id and `did:key` follow.
 *
 * ```ts
 * const { privateKey, peerId, did } = await loadOrCreateIdentity({ path: join(home, 'identity.key') })
 * ```
 */
import { generateKeyPair, generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Ed25519PeerId, Ed25519PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { didFromPeerId } from './did.ts'
import { createKeyFile, readKeyFile, replaceKeyFile } from './disk.ts'
import { identityInvalid, passphraseNeeded } from './errors.ts'
import { formatEncrypted, formatPlain, parseKeyFile, SEED_BYTES } from './key-file.ts'

export { didFromPeerId } from './did.ts'

export interface Identity {
  readonly privateKey: Ed25519PrivateKey
  readonly peerId: Ed25519PeerId
  /** `did:key:z6Mk…` */
  readonly did: string
}

/** What a passphrase is asked for: to open a file, or to write one. */
export type PassphrasePurpose = 'open' | 'create'

export interface IdentityOptions {
  /** The key file; its folder is made if there is none. */
  path: string
  /**
   * Gives the passphrase, or undefined where nobody has one. Asked with `open` where the file is encrypted, with
   * `create` where one is written: with a passphrase it is encrypted.
   */
  passphrase?: ((purpose: PassphrasePurpose) => Promise<string | undefined>) | undefined
  /** `identity.encrypt`: a new file must be encrypted, and a plain one is replaced by an encrypted one. */
  encrypt?: boolean | undefined
}

export interface LoadedIdentity extends Identity {
  /** True when the key was made just now. */
  readonly created: boolean
  /** True when the file is encrypted now. */
  readonly encrypted: boolean
}

/**
 * Reads the node's key, or makes one where there is none. A file that is there is never overwritten, whatever is wrong
 * with it.
 *
 * @throws ERR_IDENTITY_INVALID, ERR_IDENTITY_EXPOSED (others may use the file), ERR_IDENTITY_UNREADABLE,
 * ERR_PASSPHRASE_NEEDED, ERR_PASSPHRASE_WRONG
 */
export async function loadOrCreateIdentity(options: IdentityOptions): Promise<LoadedIdentity> {
  const present = await load(options)
  if (present !== undefined) return present
  const privateKey = await generateKeyPair('Ed25519')
  const identity = identityOf(privateKey)
  const passphrase = await passphraseFor('create', options)
  if (await createKeyFile(options.path, await format(identity, passphrase))) {
    return { ...identity, created: true, encrypted: passphrase !== undefined }
  }
  // Somebody else made one meanwhile.
  const other = await load(options)
  if (other === undefined) throw identityInvalid(options.path, 'it is a symbolic link to nothing')
  return other
}

async function load(options: IdentityOptions): Promise<LoadedIdentity | undefined> {
  const { path, encrypt = false } = options
  const text = await readKeyFile(path)
  if (text === undefined) return undefined
  const file = parseKeyFile(text, path)
  const seed = file.encrypted ? await file.open((await passphraseFor('open', options)) as string) : file.seed
  const identity = identityOf(await generateKeyPairFromSeed('Ed25519', seed))
  if (identity.peerId.toString() !== file.peer) {
    throw identityInvalid(path, `it says to be the key of ${file.peer}, but is that of ${identity.peerId}`)
  }
  if (!encrypt || file.encrypted) return { ...identity, created: false, encrypted: file.encrypted }
  await replaceKeyFile(path, await format(identity, await passphraseFor('create', options)))
  return { ...identity, created: false, encrypted: true }
}

/** An empty passphrase protects nothing: whoever gave one meant another. */
async function passphraseFor(
  purpose: PassphrasePurpose,
  options: IdentityOptions,
): Promise<string | undefined> {
  const passphrase = await options.passphrase?.(purpose)
  if (passphrase === '') throw passphraseNeeded(options.path, 'the passphrase is empty for')
  if (passphrase !== undefined) return passphrase
  if (purpose === 'open') throw passphraseNeeded(options.path, 'a passphrase is needed to open')
  if (options.encrypt === true)
    throw passphraseNeeded(options.path, 'identity.encrypt is set, so a passphrase is needed for')
  return undefined
}

function identityOf(privateKey: Ed25519PrivateKey): Identity {
  const peerId = peerIdFromPrivateKey(privateKey)
  return { privateKey, peerId, did: didFromPeerId(peerId) }
}

function format({ privateKey, peerId }: Identity, passphrase: string | undefined): Promise<string> | string {
  const seed = privateKey.raw.subarray(0, SEED_BYTES)
  const peer = peerId.toString()
  return passphrase === undefined ? formatPlain(peer, seed) : formatEncrypted(peer, seed, passphrase)
}
