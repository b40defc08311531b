import { TAR_BLOCK_BYTES } from './decode.ts'

/**
 * Headers of the pax interchange format (POSIX.1-2024, `pax`): ustar headers, with an extended header before those whose
 * name, link or size ustar cannot hold. Every field that says nothing about content is a constant, so that the same DAG
 * always gives the same stream.
 */
export interface TarMember {
  /** Without a slash at the end, directories too. */
  path: string
  type: 'file' | 'directory' | 'symlink'
  mode: number
  sizeBytes: number
  /** Target of a symlink. */
  target?: string
}

const NAME_BYTES = 100
const LINK_BYTES = 100
/** Eleven octal digits. */
const MAX_USTAR_SIZE_BYTES = 0o77777777777

const TYPE_FLAGS = { file: '0', symlink: '2', directory: '5', extended: 'x' } as const

/** Two empty blocks. */
export const TAR_END: Uint8Array = new Uint8Array(2 * TAR_BLOCK_BYTES)

/** The header of a member, and before it, where needed, an extended one. */
export function encodeTarHeader(member: TarMember): Uint8Array {
  const path = member.type === 'directory' ? `${member.path}/` : member.path
  const target = member.target ?? ''
  const records: [string, string][] = []
  if (!fits(path, NAME_BYTES)) records.push(['path', path])
  if (!fits(target, LINK_BYTES)) records.push(['linkpath', target])
  if (member.sizeBytes > MAX_USTAR_SIZE_BYTES) records.push(['size', `${member.sizeBytes}`])

  const header = ustarHeader({
    name: path,
    flag: TYPE_FLAGS[member.type],
    mode: member.mode,
    sizeBytes: member.sizeBytes > MAX_USTAR_SIZE_BYTES ? 0 : member.sizeBytes,
    target,
  })
  if (records.length === 0) return header
  const content = Buffer.concat(records.map(([key, value]) => paxRecord(key, value)))
  const extended = ustarHeader({
    name: 'PaxHeader',
    flag: TYPE_FLAGS.extended,
    mode: 0o644,
    sizeBytes: content.length,
    target: '',
  })
  return Buffer.concat([extended, content, tarPadding(content.length), header])
}

export function tarPadding(sizeBytes: number): Uint8Array {
  return new Uint8Array((TAR_BLOCK_BYTES - (sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES)
}

function fits(text: string, maxBytes: number): boolean {
  // ustar says nothing of any character beyond ASCII.
  return text.length <= maxBytes && Buffer.byteLength(text) === text.length
}

/** `"<length> <key>=<value>\n"`, where the length counts its own digits. */
function paxRecord(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`
  const restBytes = Buffer.byteLength(rest)
  let length = restBytes + `${restBytes}`.length
  if (`${length}`.length + restBytes !== length) length += 1
  return Buffer.from(`${length}${rest}`)
}

function octal(value: number, digits: number): string {
  return `${value.toString(8).padStart(digits, '0')}\0`
}

function ustarHeader(fields: {
  name: string
  flag: string
  mode: number
  sizeBytes: number
  target: string
}): Buffer {
  const block = Buffer.alloc(TAR_BLOCK_BYTES)
  block.write(fields.name, 0, NAME_BYTES, 'utf8')
  block.write(octal(fields.mode & 0o7777, 7), 100, 'latin1')
  block.write(octal(0, 7), 108, 'latin1')
  block.write(octal(0, 7), 116, 'latin1')
  block.write(octal(fields.sizeBytes, 11), 124, 'latin1')
  block.write(octal(0, 11), 136, 'latin1')
  block.write(' '.repeat(8), 148, 'latin1')
  block.write(fields.flag, 156, 'latin1')
  block.write(fields.target, 157, LINK_BYTES, 'utf8')
  block.write('ustar\u000000', 257, 'latin1')
  block.write(octal(0, 7), 329, 'latin1')
  block.write(octal(0, 7), 337, 'latin1')
  let sum = 0
  for (const byte of block) sum += byte
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}
