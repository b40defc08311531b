/** Unsigned LEB128, the integers of length prefixes and of protobuf. Values up to 2^32 - 1. */

export function varintLength(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x200000) return 3
  return value < 0x10000000 ? 4 : 5
}

/** Writes `value` at `offset` and returns the offset behind it. */
export function writeVarint(target: Uint8Array, offset: number, value: number): number {
  let rest = value
  let at = offset
  while (rest >= 0x80) {
    target[at++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  target[at++] = rest
  return at
}

/**
 * Reads a varint of at most 32 bits. Returns the value and the offset behind it, or undefined where the bytes end too
 * early, the value is larger, or it is not in its shortest form.
 */
export function readVarint(source: Uint8Array, offset: number): { value: number; next: number } | undefined {
  let value = 0
  let scale = 1
  for (let at = offset; at < source.length && at < offset + 5; at++) {
    const byte = source[at]!
    value += (byte & 0x7f) * scale
    if (byte < 0x80) {
      const shortest = byte !== 0 || at === offset
      return shortest && value <= 0xffffffff ? { value, next: at + 1 } : undefined
    }
    scale *= 0x80
  }
  return undefined
}
