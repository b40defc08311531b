import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compare } from '../../../protocols/reconcile/compare.ts'
import { Comparison } from '../../../protocols/reconcile/comparison.ts'
import { MAX_SESSION_ENTRIES } from '../../../protocols/reconcile/limits.ts'
import {
  type AnswerBody,
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
} from '../../../protocols/reconcile/messages.ts'
import { snapshotOf } from '../../../protocols/reconcile/snapshot.ts'
import { partsOf, View } from '../../../protocols/reconcile/view.ts'
import { MemorySet } from '../../support/reconcile.ts'

const KEY = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')
const { signal } = new AbortController()

async function viewOf(set: MemorySet, key: Uint8Array = KEY): Promise<View> {
  return View.of(await snapshotOf(set, signal), key)
}

interface Compared {
  /** As hex. */
  lacking: string[]
  spare: string[]
  isWhole: boolean
  bytes: number
  exchanges: number
}

/** One comparison over messages as they travel. */
async function compareSets(
  ours: MemorySet,
  theirs: MemorySet,
  { isRefused = () => false, turn = 0 }: { isRefused?: (tag: bigint) => boolean; turn?: number } = {},
): Promise<Compared> {
  const [asker, answerer] = [await viewOf(ours), await viewOf(theirs)]
  const comparison = new Comparison(asker, { isRefused, turn })
  let [bytes, exchanges] = [0, 0]
  for (let cuts = comparison.next(); cuts !== undefined; cuts = comparison.next()) {
    const request = encodeRequest({ body: { kind: 'compare', cuts } })
    const { body } = decodeRequest(request)
    if (body.kind !== 'compare') throw new Error('another request')
    const answer = encodeAnswer({ status: 0, body: compare(answerer, body.cuts) })
    expect(request.byteLength).toBeLessThanOrEqual(65_536)
    expect(answer.byteLength).toBeLessThanOrEqual(65_536)
    comparison.take(decodeAnswer(answer, body).body as AnswerBody & { kind: 'compared' })
    bytes += request.byteLength + answer.byteLength
    exchanges += 1
  }
  const hex = (view: View, ranks: readonly number[]): string[] =>
    ranks.map((rank) => Buffer.from(view.id(rank)).toString('hex')).toSorted()
  return {
    lacking: hex(answerer, comparison.lacking),
    spare: hex(asker, comparison.spare),
    isWhole: comparison.isWhole,
    bytes,
    exchanges,
  }
}

const only = (set: MemorySet, other: MemorySet): string[] =>
  [...set.entries.keys()].filter((id) => !other.entries.has(id)).toSorted()

const numbered = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, index) => `entry ${from + index}`)

describe('a comparison', () => {
  it('finds exactly what each side lacks, whatever the sets', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(400),
        fc.nat(400),
        fc.nat(400),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        async (shared, ours, theirs, turn) => {
          const both = numbered(shared)
          const a = new MemorySet([...both, ...numbered(ours, 1_000)])
          const b = new MemorySet([...both, ...numbered(theirs, 2_000)])
          const { lacking, spare, isWhole } = await compareSets(a, b, { turn })
          expect(isWhole).toBe(true)
          expect(spare).toEqual(only(a, b))
          expect(lacking).toEqual(only(b, a))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('costs what differs, not what is held', async () => {
    const all = numbered(20_000)
    const a = new MemorySet(all.filter((_, index) => index % 400 !== 7))
    const b = new MemorySet(all.filter((_, index) => index % 400 !== 123))
    const { lacking, spare, bytes, exchanges } = await compareSets(a, b)
    expect([lacking.length, spare.length]).toEqual([50, 50])
    expect(lacking).toEqual(only(b, a))
    expect(bytes).toBeLessThan(50 * 1024)
    expect(exchanges).toBeLessThanOrEqual(4)
    const same = await compareSets(a, a)
    expect(same).toMatchObject({ isWhole: true, exchanges: 1 })
    expect(same.bytes).toBeLessThan(300)
  })

  it('costs 8 bytes or so for each entry where one side has nothing', async () => {
    const [full, empty] = [new MemorySet(numbered(10_000)), new MemorySet()]
    const forward = await compareSets(full, empty)
    expect(forward.spare).toEqual(only(full, empty))
    expect(forward.bytes).toBeLessThan(1_000)
    const back = await compareSets(empty, full)
    expect(back.lacking).toEqual(only(full, empty))
    expect(back.bytes).toBeLessThan(10_000 * 12)
  })

  it('stops where a session has enough, and begins elsewhere the next time', async () => {
    const full = new MemorySet(numbered(2 * MAX_SESSION_ENTRIES))
    const first = await compareSets(new MemorySet(), full, { turn: 0 })
    expect(first.isWhole).toBe(false)
    expect(first.lacking.length).toBe(MAX_SESSION_ENTRIES)
    const second = await compareSets(new MemorySet(), full, { turn: 0.5 })
    expect(second.lacking).not.toEqual(first.lacking)
  })

  it('takes what was refused for had', async () => {
    const theirs = new MemorySet(numbered(100))
    const view = await viewOf(theirs)
    const refused = new Set([view.tag(3), view.tag(50)])
    const { lacking } = await compareSets(new MemorySet(), theirs, { isRefused: (tag) => refused.has(tag) })
    expect(lacking.length).toBe(98)
  })

  it('gives up on an answerer whose cuts find no end', async () => {
    const comparison = new Comparison(await viewOf(new MemorySet()), { isRefused: () => false, turn: 0 })
    const endless = (): void => {
      for (let cuts = comparison.next(); cuts !== undefined; cuts = comparison.next()) {
        const spans = cuts.flatMap(partsOf)
        comparison.take({
          kind: 'compared',
          parts: spans.length,
          // Each part in sixty-four, none of which adds up to nothing.
          differences: spans.map(({ start }, part) => ({
            part,
            kind: 'cut',
            bounds: Array.from({ length: 63 }, (_, index) => Buffer.from([...start, index + 1])),
            fingerprints: Array.from({ length: 64 }, () => 1n),
          })),
        })
      }
    }
    expect(endless).toThrow(expect.objectContaining({ rule: 'endless-comparison' }))
  })

  it('adds up to something else under every key', async () => {
    const set = new MemorySet(numbered(10))
    const [one, other] = [await viewOf(set), await viewOf(set, Buffer.alloc(16, 7))]
    expect(one.fingerprint(0, 10)).not.toBe(other.fingerprint(0, 10))
    expect(one.fingerprint(0, 10)).toBe(
      BigInt.asUintN(
        32,
        one.tags(0, 10).reduce((sum, tag) => sum + (tag & 0xffff_ffffn), 0n),
      ) |
        (BigInt.asUintN(
          32,
          one.tags(0, 10).reduce((sum, tag) => sum + (tag >> 32n), 0n),
        ) <<
          32n),
    )
  })
})
