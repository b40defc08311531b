import { randomBytes } from 'node:crypto'
import { describe, expect, it, test } from 'vitest'
import { SEGMENT_BYTES } from '../../../../src/vault/codec/index.ts'
import { codecBench, patterned, place, text } from '../../../support/vault-codec.ts'

const bench = codecBench()
const { segments, signal } = bench

function some(pieces: readonly Uint8Array[], columns: readonly number[]): Map<number, Uint8Array> {
  // Copies, as what comes over the wire is: pieces are moved to the thread.
  return new Map(columns.map((column) => [column, new Uint8Array(pieces[column] ?? [])]))
}

/** Every way to choose `count` of the numbers below `n`. */
function subsets(n: number, count: number, from = 0): number[][] {
  if (count === 0) return [[]]
  const all: number[][] = []
  for (let first = from; first <= n - count; first++) {
    for (const rest of subsets(n, count - 1, first + 1)) all.push([first, ...rest])
  }
  return all
}

describe('a segment', () => {
  const sizes = [0, 1, 1023, 1024, 1025, 65_535, 65_536, 65_537, SEGMENT_BYTES - 1, SEGMENT_BYTES]
  for (const redundancy of [
    { k: 1, n: 1 },
    { k: 1, n: 5 },
    { k: 4, n: 8 },
    { k: 20, n: 40 },
  ]) {
    for (const [kind, make] of [
      ['incompressible', patterned],
      ['compressible', text],
    ] as const) {
      it(`comes back as it was: ${kind}, ${redundancy.k} of ${redundancy.n}`, async () => {
        for (const bytes of sizes) {
          const original = make(bytes)
          const where = place()
          const encoded = await segments.encode(new Uint8Array(original), { ...where, redundancy, signal })
          expect(encoded.pieces.length).toBe(redundancy.n)
          expect(encoded.roots.length).toBe(redundancy.n)
          const last = Array.from({ length: redundancy.k }, (_, at) => redundancy.n - 1 - at)
          const decoded = await segments.decode(some(encoded.pieces, last), {
            ...where,
            mode: encoded.mode,
            sealedBytes: encoded.sealedBytes,
            redundancy,
            signal,
          })
          expect(Buffer.compare(decoded, original)).toBe(0)
        }
      })
    }
  }

  test('every choice of k pieces gives the same bytes, and every other piece again', async () => {
    for (const redundancy of [
      { k: 2, n: 3 },
      { k: 3, n: 5 },
      { k: 4, n: 8 },
    ]) {
      const original = new Uint8Array(randomBytes(70_001))
      const where = place()
      const encoded = await segments.encode(new Uint8Array(original), { ...where, redundancy, signal })
      const { mode, sealedBytes, pieces, roots } = encoded
      for (const columns of subsets(redundancy.n, redundancy.k)) {
        const decoded = await segments.decode(some(pieces, columns), {
          ...where,
          mode,
          sealedBytes,
          redundancy,
          signal,
        })
        expect(Buffer.compare(decoded, original)).toBe(0)
        const missing = pieces.map((_, column) => column).filter((column) => !columns.includes(column))
        const rebuilt = await segments.rebuild(some(pieces, columns), {
          columns: missing,
          sealedBytes,
          redundancy,
          signal,
        })
        for (const column of missing) {
          const { bytes, root } = rebuilt.get(column) ?? expect.fail()
          expect(Buffer.compare(bytes, pieces[column] ?? expect.fail())).toBe(0)
          expect(Buffer.compare(root, roots[column] ?? expect.fail())).toBe(0)
        }
      }
    }
  })
})
