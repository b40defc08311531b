import { createKeyFile, readKeyFile, replaceKeyFile } from './disk.ts'
import { type KeyForm, keyInvalid, passphraseNeeded } from './errors.ts'
import { formatEncrypted, formatPlain, parseKeyFile } from './key-file.ts'

/** What a passphrase is asked for: to open a file, or to write one. */
export type PassphrasePurpose = 'open' | 'create'

export interface SecretFileOptions {
  /** The key file; its folder is made if there is none. */
  path: string
  /**
   * Gives the passphrase, or undefined where nobody has one. Asked with `open` where the file is encrypted, with
   * `create` where one is written: with a passphrase it is encrypted.
   */
  passphrase?: ((purpose: PassphrasePurpose) => Promise<string | undefined>) | undefined
  /** A new file must be encrypted, and a plain one is replaced by an encrypted one. */
  encrypt?: boolean | undefined
}

/** How one kind of secret is made and named; the name stands in the file and must be that of the secret. */
export interface SecretKind {
  form: KeyForm
  make(): Promise<Uint8Array>
  nameOf(secret: Uint8Array): Promise<string>
}

export interface LoadedSecret {
  secret: Uint8Array
  /** True when it was made just now. */
  created: boolean
  /** True when the file is encrypted now. */
  encrypted: boolean
}

/**
 * Reads the secret of a key file, or makes one where there is none. A file that is there is never overwritten, whatever
 * is wrong with it.
 *
 * @throws …_INVALID, …_EXPOSED (others may use the file), …_UNREADABLE with the form's prefix, ERR_PASSPHRASE_NEEDED,
 * ERR_PASSPHRASE_WRONG
 */
export async function loadOrCreateSecret(
  kind: SecretKind,
  options: SecretFileOptions,
): Promise<LoadedSecret> {
  const present = await load(kind, options)
  if (present !== undefined) return present
  const secret = await kind.make()
  const passphrase = await passphraseFor('create', options)
  if (await createKeyFile(options.path, await format(kind, secret, passphrase), kind.form)) {
    return { secret, created: true, encrypted: passphrase !== undefined }
  }
  // Somebody else made one meanwhile.
  const other = await load(kind, options)
  if (other === undefined) throw keyInvalid(kind.form, options.path, 'it is a symbolic link to nothing')
  return other
}

/** Puts another secret in the file's place, durably; the old or the new one is there at any moment. */
export async function replaceSecret(
  kind: SecretKind,
  secret: Uint8Array,
  options: SecretFileOptions,
): Promise<void> {
  const passphrase = await passphraseFor('create', options)
  await replaceKeyFile(options.path, await format(kind, secret, passphrase), kind.form)
}

async function load(kind: SecretKind, options: SecretFileOptions): Promise<LoadedSecret | undefined> {
  const { form } = kind
  const { path, encrypt = false } = options
  const text = await readKeyFile(path, form)
  if (text === undefined) return undefined
  const file = parseKeyFile(text, path, form)
  const secret = file.encrypted
    ? await file.open((await passphraseFor('open', options)) as string)
    : file.seed
  const name = await kind.nameOf(secret)
  if (name !== file.name)
    throw keyInvalid(form, path, `it says to be the key of ${file.name}, but is that of ${name}`)
  if (!encrypt || file.encrypted) return { secret, created: false, encrypted: file.encrypted }
  await replaceSecret(kind, secret, options)
  return { secret, created: false, encrypted: true }
}

/** An empty passphrase protects nothing: whoever gave one meant another. */
async function passphraseFor(
  purpose: PassphrasePurpose,
  options: SecretFileOptions,
): Promise<string | undefined> {
  const passphrase = await options.passphrase?.(purpose)
  if (passphrase === '') throw passphraseNeeded(options.path, 'the passphrase is empty for')
  if (passphrase !== undefined) return passphrase
  if (purpose === 'open') throw passphraseNeeded(options.path, 'a passphrase is needed to open')
  if (options.encrypt === true)
    throw passphraseNeeded(options.path, 'identity.encrypt is set, so a passphrase is needed for')
  return undefined
}

async function format(
  { form, nameOf }: SecretKind,
  secret: Uint8Array,
  passphrase: string | undefined,
): Promise<string> {
  const name = await nameOf(secret)
  return passphrase === undefined
    ? formatPlain(name, secret, form)
    : formatEncrypted(name, secret, passphrase, undefined, form)
}
