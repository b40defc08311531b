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

describe('what is wrong is named', () => {
  const redundancy = { k: 4, n: 8 }
  const invalid = { code: 'ERR_VAULT_INVALID', kind: 'verification' }

  async function encoded(bytes = 200_000) {
    const where = place()
    const segment = new Uint8Array(randomBytes(bytes))
    const result = await segments.encode(segment, { ...where, redundancy, signal })
    const { mode, sealedBytes } = result
    return { ...result, where, options: { ...where, mode, sealedBytes, redundancy, signal } }
  }

  test('too few pieces, pieces of another length, columns that are none', async () => {
    const { pieces, options } = await encoded()
    await expect(segments.decode(some(pieces, [0, 1, 7]), options)).rejects.toMatchObject({
      ...invalid,
      message: '3 pieces are too few to put a segment together from 4 of 8',
    })
    const cut = some(pieces, [0, 1, 2, 7])
    cut.set(2, (pieces[2] ?? expect.fail()).slice(1))
    await expect(segments.decode(cut, options)).rejects.toMatchObject(invalid)
    await expect(segments.decode(some(pieces, [0, 1, 2, 8]), options)).rejects.toMatchObject(invalid)
    await expect(
      segments.rebuild(some(pieces, [0, 1, 2]), { ...options, columns: [5] }),
    ).rejects.toMatchObject(invalid)
    await expect(segments.rebuild(some(pieces, [0, 1, 2, 3]), { ...options, columns: [8] })).rejects.toThrow(
      RangeError,
    )
  })

  test('a bit flipped in any of the pieces that are used', async () => {
    const { pieces, options } = await encoded()
    for (const columns of [
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [0, 3, 5, 6],
    ]) {
      for (const column of columns) {
        const altered = some(pieces, columns)
        const piece = altered.get(column) ?? expect.fail()
        piece[1000] = (piece[1000] ?? 0) ^ 4
        await expect(segments.decode(altered, options)).rejects.toMatchObject({
          ...invalid,
          message: 'segment 3 does not open: wrong key or altered',
        })
      }
    }
  })

  test('pieces exchanged, segments exchanged, modes exchanged', async () => {
    const one = await encoded()
    const other = await encoded()
    const exchanged = some(one.pieces, [0, 1, 2, 3])
    exchanged.set(0, (one.pieces[1] ?? expect.fail()).slice())
    exchanged.set(1, (one.pieces[0] ?? expect.fail()).slice())
    await expect(segments.decode(exchanged, one.options)).rejects.toMatchObject(invalid)
    await expect(segments.decode(some(one.pieces, [0, 1, 2, 3]), other.options)).rejects.toMatchObject(
      invalid,
    )
    const options = { ...one.options, mode: 1 - one.mode }
    await expect(segments.decode(some(one.pieces, [0, 1, 2, 3]), options)).rejects.toMatchObject(invalid)
  })

  test('one array given as several pieces', async () => {
    const { pieces, options } = await encoded()
    const one = new Uint8Array(pieces[0] ?? [])
    const same = new Map([0, 1, 2, 3].map((column) => [column, one]))
    await expect(segments.decode(same, options)).rejects.toMatchObject(invalid)
  })

  test('no redundancy at all is a mistake of the caller', async () => {
    for (const wrong of [
      { k: 0, n: 1 },
      { k: 2, n: 2 },
      { k: 5, n: 4 },
      { k: 1, n: 65 },
    ]) {
      const options = { ...place(), redundancy: wrong, signal }
      await expect(segments.encode(new Uint8Array(10), options)).rejects.toThrow(RangeError)
    }
  })

  test('a cancelled call', async () => {
    const gone = AbortSignal.abort()
    await expect(
      segments.encode(new Uint8Array(10), { ...place(), redundancy, signal: gone }),
    ).rejects.toMatchObject({ code: 'ERR_CANCELLED', kind: 'cancelled' })
  })
})

test('columns that are copies share one array, and what is given back stands alone', async () => {
  const redundancy = { k: 1, n: 5 }
  const { pieces, roots } = await segments.encode(patterned(10_000), { ...place(), redundancy, signal })
  expect(new Set(pieces).size).toBe(5)
  expect(new Set(pieces.map(({ buffer }) => buffer)).size).toBe(1)
  expect(new Set(roots.map((root) => Buffer.from(root).toString('hex'))).size).toBe(1)
})

test('a part of a larger buffer is taken as it is and left to its owner', async () => {
  const whole = patterned(300_000)
  const copy = whole.slice()
  const where = place()
  const redundancy = { k: 4, n: 8 }
  const encoded = await segments.encode(whole.subarray(100, 200_100), { ...where, redundancy, signal })
  expect(Buffer.compare(whole, copy)).toBe(0)
  const frame = Buffer.concat(encoded.pieces)
  const bytes = encoded.pieces[0]?.length ?? 0
  const views = new Map(
    [1, 2, 5, 6].map((column) => [column, frame.subarray(column * bytes, (column + 1) * bytes)]),
  )
  const { mode, sealedBytes } = encoded
  const decoded = await segments.decode(views, { ...where, mode, sealedBytes, redundancy, signal })
  expect(Buffer.compare(decoded, copy.subarray(100, 200_100))).toBe(0)
  expect(frame.length).toBe(8 * bytes)
})
