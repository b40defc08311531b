/**
 * A manifest's body to bytes and back, in parts: its fields before the entries, and entries by the batch. Encoded fields put one
 * after another are the encoded whole. What one part alone can show to be wrong is found here; the rest in checks.ts.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { BodySchema, type Entry, EntrySchema } from '../../../protocols/chunk/format/format_pb.ts'
import { vaultInvalid } from './errors.ts'
import {
  FORMAT_VERSION,
  HASH_BYTES,
  KEY_BYTES,
  MAX_DATA_SLABS,
  MAX_MIME_BYTES,
  MAX_MODE,
  MAX_NAME_BYTES,
  MAX_PATH_BYTES,
  SALT_BYTES,
} from './limits.ts'
import { Mode } from './segment.ts'
import type { BodyHead, EntryBatch } from './tasks.ts'
import { SEGMENT_BYTES, SEGMENTS_PER_SLAB } from './types.ts'

type BatchEntry = EntryBatch['entries'][number]

const KINDS = ['file', 'tree'] as const
const TYPES = ['file', 'directory', 'symlink'] as const
const NO_BYTES = new Uint8Array(0)

/** @throws ERR_VAULT_INVALID where no reader would take it */
export function headToBytes(head: BodyHead): Uint8Array {
  checkHead(head)
  const slabs = Array.from({ length: head.salts.length / SALT_BYTES }, (_, at) => ({
    salt: head.salts.subarray(at * SALT_BYTES, (at + 1) * SALT_BYTES),
    modes: head.modes.subarray(at * SEGMENTS_PER_SLAB, (at + 1) * SEGMENTS_PER_SLAB),
  }))
  return toBinary(
    BodySchema,
    create(BodySchema, {
      version: FORMAT_VERSION,
      name: head.name,
      kind: KINDS.indexOf(head.kind),
      size: BigInt(head.size),
      sha256: head.sha256 ?? NO_BYTES,
      createdMs: BigInt(head.createdMs),
      fileKey: head.fileKey,
      slabs,
      mime: head.mime,
    }),
  )
}

/** @throws ERR_VAULT_INVALID */
export function headFromBytes(bytes: Uint8Array): BodyHead {
  const message = parsed(bytes)
  if (message.version !== FORMAT_VERSION) {
    throw vaultInvalid(`the manifest is of version ${message.version}: this p2pnode reads ${FORMAT_VERSION}`)
  }
  const kind = KINDS[message.kind]
  if (kind === undefined) throw vaultInvalid(`the manifest is of the unknown kind ${message.kind}`)
  if (message.slabs.length > MAX_DATA_SLABS) throw vaultInvalid('the manifest has too many slabs')
  for (const [at, { salt, modes }] of message.slabs.entries()) {
    const last = at === message.slabs.length - 1
    const fits = last
      ? modes.length >= 1 && modes.length <= SEGMENTS_PER_SLAB
      : modes.length === SEGMENTS_PER_SLAB
    if (salt.length !== SALT_BYTES || !fits) throw vaultInvalid(`slab ${at} of the manifest is malformed`)
  }
  const head: BodyHead = {
    name: message.name,
    kind,
    size: wholeNumber(message.size, 'size'),
    sha256: message.sha256.length === 0 ? null : message.sha256.slice(),
    createdMs: wholeNumber(message.createdMs, 'time'),
    fileKey: message.fileKey.slice(),
    mime: message.mime,
    salts: joined(message.slabs.map(({ salt }) => salt)),
    modes: joined(message.slabs.map(({ modes }) => modes)),
  }
  checkHead(head)
  return head
}

/** @throws ERR_VAULT_INVALID where no reader would take it */
export function entriesToBytes({ entries, hashes }: EntryBatch): Uint8Array {
  let at = 0
  const messages = entries.map((entry): Entry => {
    checkEntry(entry)
    const sha256 = entry.type === 'file' ? hashes.subarray(at, (at += HASH_BYTES)) : NO_BYTES
    return create(EntrySchema, {
      path: entry.path,
      type: TYPES.indexOf(entry.type),
      ...(entry.mode !== null && { mode: entry.mode }),
      size: BigInt(entry.size),
      offset: BigInt(entry.offset),
      sha256,
      mime: entry.mime,
      target: entry.target,
    })
  })
  if (at !== hashes.length) throw vaultInvalid('a file of the tree has no hash')
  return toBinary(BodySchema, create(BodySchema, { entries: messages }))
}

/** @throws ERR_VAULT_INVALID */
export function entriesFromBytes(bytes: Uint8Array): EntryBatch {
  const hashes: Uint8Array[] = []
  const entries = parsed(bytes).entries.map((message): BatchEntry => {
    const type = TYPES[message.type]
    if (type === undefined) throw vaultInvalid(`an entry of the tree is of the unknown type ${message.type}`)
    const entry: BatchEntry = {
      path: message.path,
      type,
      mode: message.mode ?? null,
      size: wholeNumber(message.size, 'size'),
      offset: wholeNumber(message.offset, 'offset'),
      mime: message.mime,
      target: message.target,
    }
    checkEntry(entry)
    if (message.sha256.length !== (type === 'file' ? HASH_BYTES : 0)) {
      throw vaultInvalid('an entry of the tree has a hash that is not one')
    }
    hashes.push(message.sha256)
    return entry
  })
  return { entries, hashes: joined(hashes) }
}

function parsed(bytes: Uint8Array) {
  try {
    return fromBinary(BodySchema, bytes, { readUnknownFields: false })
  } catch (error) {
    throw vaultInvalid('the body of the manifest is malformed', {}, error)
  }
}

function checkHead(head: BodyHead): void {
  const wrong = (what: string) => vaultInvalid(`the manifest has ${what}`)
  if (!isName(head.name)) throw wrong('a name that is none')
  if (head.fileKey.length !== KEY_BYTES) throw wrong('a file key that is none')
  const hashBytes = head.kind === 'file' ? HASH_BYTES : 0
  if ((head.sha256?.length ?? 0) !== hashBytes) throw wrong('a hash that does not fit its kind')
  if (!isMime(head.mime)) throw wrong('a MIME type that is none')
  if (!isCount(head.size) || !isCount(head.createdMs)) throw wrong('a number that is none')
  const segments = Math.ceil(head.size / SEGMENT_BYTES)
  const slabs = Math.ceil(segments / SEGMENTS_PER_SLAB)
  if (head.modes.length !== segments || head.salts.length !== slabs * SALT_BYTES) {
    throw wrong('slabs that do not fit its size')
  }
  if (slabs > MAX_DATA_SLABS) throw wrong(`${slabs} slabs, over ${MAX_DATA_SLABS}`)
  if (head.modes.some((mode) => mode !== Mode.plain && mode !== Mode.zstd)) {
    throw wrong('a segment of an unknown mode')
  }
}

function checkEntry(entry: BatchEntry): void {
  const wrong = (what: string) => vaultInvalid(`an entry of the tree has ${what}`)
  if (!isRelativePath(entry.path)) throw wrong('a path that is not a plain relative one')
  if (!isCount(entry.size) || !isCount(entry.offset)) throw wrong('a number that is none')
  if (entry.type !== 'file' && (entry.size !== 0 || entry.offset !== 0)) {
    throw wrong('content though it is no file')
  }
  if (entry.mode !== null && !(isCount(entry.mode) && entry.mode <= MAX_MODE)) {
    throw wrong('a mode that is none')
  }
  if (!isMime(entry.mime)) throw wrong('a MIME type that is none')
  const fits = entry.type === 'symlink' ? isTarget(entry.target) : entry.target === ''
  if (!fits) throw wrong('a link target that does not fit its type')
}

/** Relative, without empty parts, `.`, `..` or NUL: it stays within whatever folder it is written to. */
export function isRelativePath(path: string): boolean {
  if (path.length > MAX_PATH_BYTES || utf8Bytes(path) > MAX_PATH_BYTES) return false
  if (path.includes('\0') || !path.isWellFormed()) return false
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
}

function isName(name: string): boolean {
  return utf8Bytes(name) <= MAX_NAME_BYTES && !name.includes('/') && isRelativePath(name)
}

function isMime(mime: string): boolean {
  return utf8Bytes(mime) <= MAX_MIME_BYTES && mime.isWellFormed()
}

function isTarget(target: string): boolean {
  const bytes = utf8Bytes(target)
  return bytes > 0 && bytes <= MAX_PATH_BYTES && !target.includes('\0') && target.isWellFormed()
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function wholeNumber(value: bigint, what: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw vaultInvalid(`the manifest has a ${what} that is too large`)
  return Number(value)
}

function utf8Bytes(text: string): number {
  return Buffer.byteLength(text)
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
