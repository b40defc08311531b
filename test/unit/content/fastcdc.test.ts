import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createChunker } from '../../../src/content/unixfs/chunker.ts'
import {
  FASTCDC_AVERAGE_BYTES,
  FASTCDC_MAX_BYTES,
  FASTCDC_MIN_BYTES,
  gearOf,
} from '../../../src/content/unixfs/fastcdc.ts'
import { keystream } from '../../support/content.ts'

function chunksOf(bytes: Uint8Array, partBytes: number): Uint8Array[] {
  const chunker = createChunker({ kind: 'fastcdc' })
  const chunks: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += partBytes)
    chunks.push(...chunker.push(bytes.subarray(at, at + partBytes)))
  const rest = chunker.finish()
  return rest === undefined ? chunks : [...chunks, rest]
}

/** The cut of the published algorithm with 64-bit numbers, two bytes a step, over the whole rest at once. */
function referenceCut(bytes: Uint8Array, gears: bigint[]): number {
  const word = (value: bigint): bigint => BigInt.asUintN(64, value)
  const remaining = Math.min(bytes.length, FASTCDC_MAX_BYTES)
  if (bytes.length <= FASTCDC_MIN_BYTES) return bytes.length
  const center = Math.min(remaining, FASTCDC_AVERAGE_BYTES)
  let hash = 0n
  for (let pair = FASTCDC_MIN_BYTES / 2; pair < Math.floor(remaining / 2); pair += 1) {
    const mask = pair < Math.floor(center / 2) ? 0x0000d91707537000n : 0x0000d90703537000n
    for (const at of [pair * 2, pair * 2 + 1]) {
      hash = word((hash << 1n) + (gears[bytes[at] as number] as bigint))
      if ((hash & mask) === 0n) return at
    }
  }
  return remaining
}

describe('FastCDC', () => {
  it('has the published gears', () => {
    expect([0, 1, 2, 3].map((byte) => gearOf(byte).toString(16))).toEqual([
      '3b5d3c7d207e37dc',
      '784d68ba91123086',
      'cd52880f882e7298',
      'eacf8e4e19fdcca7',
    ])
  })

  it('cuts zeros at the largest size', () => {
    const sizes = chunksOf(new Uint8Array(3 * FASTCDC_MAX_BYTES + 5), 100_000).map((chunk) => chunk.length)
    expect(sizes).toEqual([FASTCDC_MAX_BYTES, FASTCDC_MAX_BYTES, FASTCDC_MAX_BYTES, 5])
  })

  it('cuts where the published algorithm cuts', () => {
    const gears = Array.from({ length: 256 }, (_, byte) => gearOf(byte))
    const bytes = keystream('fastcdc', 1_500_001)
    const expected: number[] = []
    for (let at = 0; at < bytes.length; ) {
      const size = referenceCut(bytes.subarray(at), gears)
      expected.push(size)
      at += size
    }
    expect(chunksOf(bytes, 65_536).map((chunk) => chunk.length)).toEqual(expected)
    expect(expected.length).toBeGreaterThan(3)
  })

  it('cuts the same however the bytes come, and loses none', () => {
    const bytes = keystream('parts', 2_000_000)
    const digest = createHash('sha256').update(bytes).digest('hex')
    const expected = chunksOf(bytes, bytes.length).map((chunk) => chunk.length)
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 2_000_000 }), (partBytes) => {
        const chunks = chunksOf(bytes, partBytes)
        expect(chunks.map((chunk) => chunk.length)).toEqual(expected)
        expect(createHash('sha256').update(Buffer.concat(chunks)).digest('hex')).toBe(digest)
      }),
      { numRuns: 10 },
    )
  })

  it('finds its cuts again after bytes were put in front', () => {
    const bytes = keystream('shift', 3_000_000)
    const digests = (input: Uint8Array): Set<string> =>
      new Set(chunksOf(input, 65_536).map((chunk) => createHash('sha256').update(chunk).digest('hex')))
    const before = digests(bytes)
    const after = digests(Buffer.concat([Buffer.from('something new'), bytes]))
    expect([...before].filter((digest) => !after.has(digest)).length).toBeLessThanOrEqual(2)
  })
})
