import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import { documentInvalid, exportPassphraseNeeded, exportPassphraseWrong } from './errors.ts'
import { MAX_DOCUMENT_BYTES } from './limits.ts'

/*
 * The file that `state export` writes; docs/vault-format.md, "Exports".
 *
 *   "p2pnode-state" ‖ version (1) ‖ kind (1) ‖ salt (32) ‖ nonce (12) ‖ AES-256-GCM(zstd(document))
 */
const MAGIC = Buffer.from('p2pnode-state')
const VERSION = 1
const Kind = { passphrase: 1, ownerSecret: 2, bearer: 3 } as const
const SALT_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEADER_BYTES = MAGIC.length + 2 + SALT_BYTES + NONCE_BYTES
/** As for key files: 128 MiB and about half a second a try (OWASP's first choice for scrypt). */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 300 * 1024 * 1024 }
/** Before the text form of one object's state: `share --owner`. */
export const OWNER_TEXT_PREFIX = 'p2pnode-owner:'

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)
const derive = promisify<string, Uint8Array, number, object, Buffer>(scrypt)

export type ExportKey = { passphrase: string } | { ownerSecret: Uint8Array } | 'bearer'

export async function sealExport(document: Uint8Array, under: ExportKey): Promise<Uint8Array> {
  const salt = randomBytes(SALT_BYTES)
  const nonce = randomBytes(NONCE_BYTES)
  const kind = kindOf(under)
  const header = Buffer.concat([MAGIC, Buffer.of(VERSION, kind), salt, nonce])
  const cipher = createCipheriv('aes-256-gcm', await keyFor(under, salt), nonce)
  cipher.setAAD(header)
  const packed = await compress(document)
  return Buffer.concat([header, cipher.update(packed), cipher.final(), cipher.getAuthTag()])
}

/** @throws ERR_OWNER_STATE_INVALID, ERR_PASSPHRASE_NEEDED, ERR_PASSPHRASE_WRONG */
export async function openExport(
  bytes: Uint8Array,
  { passphrase, ownerSecret }: { passphrase: string | undefined; ownerSecret: Uint8Array },
): Promise<Uint8Array> {
  const file = Buffer.from(bytes)
  if (file.length < HEADER_BYTES + TAG_BYTES || !file.subarray(0, MAGIC.length).equals(MAGIC))
    throw documentInvalid('it is not an export of p2pnode')
  const [version, kind] = file.subarray(MAGIC.length)
  if (version !== VERSION) throw documentInvalid(`it is of version ${version}`)
  const header = file.subarray(0, HEADER_BYTES)
  const salt = header.subarray(HEADER_BYTES - NONCE_BYTES - SALT_BYTES, HEADER_BYTES - NONCE_BYTES)
  if (kind === Kind.passphrase && passphrase === undefined) throw exportPassphraseNeeded()
  const under: ExportKey =
    kind === Kind.passphrase
      ? { passphrase: passphrase ?? '' }
      : kind === Kind.ownerSecret
        ? { ownerSecret }
        : 'bearer'
  const end = file.length - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', await keyFor(under, salt), header.subarray(-NONCE_BYTES))
  decipher.setAAD(header).setAuthTag(file.subarray(end))
  let packed: Buffer
  try {
    packed = Buffer.concat([decipher.update(file.subarray(HEADER_BYTES, end)), decipher.final()])
  } catch {
    if (kind === Kind.passphrase) throw exportPassphraseWrong()
    throw documentInvalid(
      kind === Kind.ownerSecret
        ? 'it was made without a passphrase by another owner; recover that owner by the recovery phrase first'
        : 'it is damaged',
    )
  }
  return decompress(packed, { maxOutputLength: MAX_DOCUMENT_BYTES })
}

/** The text that carries the owner's power over one object: whoever has it has that power. */
export async function toOwnerText(document: Uint8Array): Promise<string> {
  return OWNER_TEXT_PREFIX + Buffer.from(await sealExport(document, 'bearer')).toString('base64url')
}

/** A file's bytes, or such a text as bytes. */
export function fromOwnerText(bytes: Uint8Array): Uint8Array {
  const head = Buffer.from(bytes.subarray(0, OWNER_TEXT_PREFIX.length)).toString('latin1')
  if (head !== OWNER_TEXT_PREFIX) return bytes
  const text = Buffer.from(bytes).toString('latin1').trim()
  return Buffer.from(text.slice(OWNER_TEXT_PREFIX.length), 'base64url')
}

function kindOf(under: ExportKey): number {
  if (under === 'bearer') return Kind.bearer
  return 'passphrase' in under ? Kind.passphrase : Kind.ownerSecret
}

async function keyFor(under: ExportKey, salt: Uint8Array): Promise<Uint8Array> {
  // No secret of its own: the text as a whole is one.
  if (under === 'bearer')
    return new Uint8Array(hkdfSync('sha256', 'bearer', salt, 'p2pnode/vault/1/state-export', 32))
  if ('passphrase' in under) return derive(under.passphrase.normalize('NFKC'), salt, 32, SCRYPT)
  return new Uint8Array(hkdfSync('sha256', under.ownerSecret, salt, 'p2pnode/vault/1/state-export', 32))
}
