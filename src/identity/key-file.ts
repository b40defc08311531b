import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { Integer, Literal, Object as Struct, Optional, String as Text } from 'typebox'
import type { Static } from 'typebox'
import { Check } from 'typebox/value'
import { SEED_BYTES } from '../../protocols/shared/ed25519.ts'
import { IDENTITY_FORM, type KeyForm, keyInvalid, passphraseWrong } from './errors.ts'

/*
 * The format of `identity.key`, `owner.key` and `swarm-owner.key`; its specification with a vector is docs/identity-format.md.
 */

const SALT_BYTES = 32
/** AES-GCM's own nonce size (NIST SP 800-38D, section 5.2.1.1). */
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** Cost of guessing a passphrase: 128 MiB and about half a second a try; OWASP's first choice for scrypt. */
const SCRYPT_COST = { N: 2 ** 17, r: 8, p: 1 } as const
/** A file may ask for at most this much memory, so that an altered one cannot exhaust the machine. */
const MAX_SCRYPT_BYTES = 512 * 1024 * 1024
const MAX_SCRYPT_PARALLELISM = 16

const encryptionSchema = Struct(
  {
    kdf: Literal('scrypt'),
    N: Integer({ minimum: 2, maximum: 2 ** 22 }),
    r: Integer({ minimum: 1, maximum: 64 }),
    p: Integer({ minimum: 1, maximum: MAX_SCRYPT_PARALLELISM }),
    salt: Text(),
    cipher: Literal('aes-256-gcm'),
    nonce: Text(),
    sealed: Text(),
  },
  { additionalProperties: false },
)

const fileSchema = Struct(
  {
    format: Text(),
    version: Literal(1),
    peer: Optional(Text()),
    owner: Optional(Text()),
    swarm: Optional(Text()),
    key: Optional(Text()),
    encryption: Optional(encryptionSchema),
  },
  { additionalProperties: false },
)

type Encryption = Static<typeof encryptionSchema>

/** A parsed key file: the seed itself, or what it takes to get it. */
export type KeyFile =
  | { name: string; encrypted: false; seed: Uint8Array }
  | { name: string; encrypted: true; open(passphrase: string): Promise<Uint8Array> }

/** Where the random bytes of a new file come from; tests of the format fix them. */
export type RandomSource = (size: number) => Uint8Array

/** The text of a key file that holds the seed as it is. */
export function formatPlain(name: string, seed: Uint8Array, form: KeyForm = IDENTITY_FORM): string {
  return print({ format: form.format, version: 1, [form.field]: name, key: toBase64(seed) })
}

/** The text of a key file that holds the seed under a passphrase: scrypt, then AES-256-GCM over the seed. */
export async function formatEncrypted(
  name: string,
  seed: Uint8Array,
  passphrase: string,
  random: RandomSource = randomBytes,
  form: KeyForm = IDENTITY_FORM,
): Promise<string> {
  const salt = toBase64(random(SALT_BYTES))
  const nonce = random(NONCE_BYTES)
  const header = { kdf: 'scrypt', ...SCRYPT_COST, salt } as const
  const cipher = createCipheriv('aes-256-gcm', await deriveKey(passphrase, header), nonce)
  cipher.setAAD(associatedData(form, name, header))
  const sealed = Buffer.concat([cipher.update(seed), cipher.final(), cipher.getAuthTag()])
  const encryption = { ...header, cipher: 'aes-256-gcm', nonce: toBase64(nonce), sealed: toBase64(sealed) }
  return print({ format: form.format, version: 1, [form.field]: name, encryption })
}

/**
 * Reads the text of a key file; `path` is what errors call it.
 *
 * @throws ERR_IDENTITY_INVALID (or ERR_OWNER_KEY_INVALID) for anything that is not exactly the format; `open` throws ERR_PASSPHRASE_WRONG
 */
export function parseKeyFile(text: string, path: string, form: KeyForm = IDENTITY_FORM): KeyFile {
  if (text.trim() === '') throw keyInvalid(form, path, 'the file is empty')
  const parsed = parseJson(text, path, form)
  const version = (parsed as { version?: unknown } | null)?.version
  if (typeof version === 'number' && version > 1) {
    throw keyInvalid(form, path, `it has version ${version} of the format, this p2pnode knows version 1`)
  }
  const name = Check(fileSchema, parsed) && parsed.format === form.format ? parsed[form.field] : undefined
  if (!Check(fileSchema, parsed) || name === undefined)
    throw keyInvalid(form, path, 'it is not a key file of p2pnode, or parts are missing')
  const { key, encryption } = parsed
  if ([parsed.peer, parsed.owner, parsed.swarm].filter((other) => other !== undefined).length !== 1)
    throw keyInvalid(form, path, 'it must have one of "peer", "owner" and "swarm"')
  if ((key === undefined) === (encryption === undefined)) {
    throw keyInvalid(form, path, 'it must have either "key" or "encryption"')
  }
  if (key !== undefined)
    return { name, encrypted: false, seed: fromBase64(key, SEED_BYTES, 'key', path, form) }
  return { name, encrypted: true, open: prepareOpen(name, encryption as Encryption, path, form) }
}

function prepareOpen(name: string, encryption: Encryption, path: string, form: KeyForm) {
  const { N, r } = encryption
  if ((N & (N - 1)) !== 0) throw keyInvalid(form, path, "scrypt's N is not a power of two")
  if (scryptBytes(N, r) > MAX_SCRYPT_BYTES)
    throw keyInvalid(form, path, 'its scrypt parameters ask for too much memory')
  fromBase64(encryption.salt, SALT_BYTES, 'salt', path, form)
  const nonce = fromBase64(encryption.nonce, NONCE_BYTES, 'nonce', path, form)
  const sealed = fromBase64(encryption.sealed, SEED_BYTES + TAG_BYTES, 'sealed', path, form)
  return async (passphrase: string): Promise<Uint8Array> => {
    const decipher = createDecipheriv('aes-256-gcm', await deriveKey(passphrase, encryption), nonce)
    decipher.setAAD(associatedData(form, name, encryption)).setAuthTag(sealed.subarray(SEED_BYTES))
    try {
      return Buffer.concat([decipher.update(sealed.subarray(0, SEED_BYTES)), decipher.final()])
    } catch {
      throw passphraseWrong(path)
    }
  }
}

type KdfHeader = Pick<Encryption, 'N' | 'r' | 'p' | 'salt'>

const scryptAsync = promisify<string, Uint8Array, number, object, Buffer>(scrypt)

/** NFKC, so that the same passphrase typed on another system's keyboard is the same bytes. */
async function deriveKey(passphrase: string, { N, r, p, salt }: KdfHeader): Promise<Buffer> {
  // OpenSSL counts a little more than the table itself; twice that is a bound that never gets in the way.
  const maxmem = 2 * scryptBytes(N, r) + 1024 * 1024
  return scryptAsync(passphrase.normalize('NFKC'), Buffer.from(salt, 'base64'), 32, { N, r, p, maxmem })
}

/** Size of scrypt's table (RFC 7914, section 6). */
function scryptBytes(N: number, r: number): number {
  return 128 * N * r
}

/** Everything of the header that decides how the seed is got, so that none of it can be exchanged unnoticed. */
function associatedData(form: KeyForm, name: string, { N, r, p, salt }: KdfHeader): Buffer {
  return Buffer.from(`${form.format} 1 ${name} scrypt ${N} ${r} ${p} ${salt} aes-256-gcm`, 'utf8')
}

function print(file: object): string {
  return `${JSON.stringify(file, null, 2)}\n`
}

function parseJson(text: string, path: string, form: KeyForm): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's message quotes the text, and the text may hold the key.
    throw keyInvalid(form, path, 'it is not whole JSON (truncated, or another kind of file)')
  }
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

/** Node's decoder skips what it does not know, so the text must be what encoding gives. */
function fromBase64(text: string, sizeBytes: number, name: string, path: string, form: KeyForm): Buffer {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length === sizeBytes && bytes.toString('base64') === text) return bytes
  throw keyInvalid(form, path, `"${name}" is not ${sizeBytes} bytes in base64`)
}
