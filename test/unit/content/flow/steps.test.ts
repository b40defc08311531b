import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DiscoverySteps } from '../../../../src/content/flow/steps.ts'
import { overlap } from '../../../../src/content/flow/overlap.ts'
import { Tally } from '../../../../src/content/flow/tally.ts'
import type { OuterStep, Step } from '../../../../src/content/flow/types.ts'
import type { Candidate, ContentFacts, Outcome, RankedSource } from '../../../../src/content/router/types.ts'
import { rawCid } from '../../../support/content-protocol.ts'

const CID = rawCid(Buffer.from('something'))
const never = new AbortController().signal
const NAMES: readonly OuterStep[] = ['ipfs', 'proxy', 'gateways']
const KINDS = { ipfs: 'ipfs', proxy: 'proxy', gateways: 'gateway' } as const
const SOURCES: readonly Candidate[] = [
  { kind: 'ipfs', id: 'ipfs' },
  { kind: 'proxy', id: 'a' },
  { kind: 'proxy', id: 'b' },
  { kind: 'gateway', id: 'http://c' },
  { kind: 'gateway', id: 'http://d' },
]

/** A step of which is told how it was opened. */
function step(name: OuterStep, answer: Uint8Array | undefined, opened: Map<string, readonly string[]>): Step {
  const sources = SOURCES.filter(({ kind }) => kind === KINDS[name])
  return {
    name,
    headStartMs: 60_000,
    sources: () => sources,
    open(_plan, { order = [], tally = new Tally() } = {}) {
      opened.set(name, order)
      return {
        async fetch(_cid, { signal }) {
          const ask = async (): Promise<Uint8Array> => {
            if (answer === undefined) throw new Error('not here')
            return answer
          }
          const [first] = sources
          return { bytes: await tally.ask(first!, signal, ask, () => 'missing'), from: first!.id }
        },
        close() {},
      }
    },
  }
}

function ranking(ids: readonly string[]) {
  const reports: Outcome[] = []
  const asked: ContentFacts[] = []
  return {
    reports,
    asked,
    rank(_root: unknown, candidates: readonly Candidate[], facts: ContentFacts = {}): RankedSource[] {
      asked.push(facts)
      return ids.flatMap((id) => {
        const found = candidates.find((candidate) => candidate.id === id)
        return found === undefined ? [] : [{ ...found, score: 0, terms: [] }]
      })
    },
    report: (_root: unknown, outcome: Outcome) => void reports.push(outcome),
  }
}

describe('the order of the steps', () => {
  it('is the one of their best sources, whatever the list; all that are on are there, once', () => {
    const lists = fc.shuffledSubarray(SOURCES.map(({ id }) => id))
    fc.assert(
      fc.property(lists, fc.subarray([...NAMES]), (ids, on) => {
        const opened = new Map<string, readonly string[]>()
        const router = ranking(ids)
        const steps = new DiscoverySteps({ steps: on.map((name) => step(name, undefined, opened)), router })
        const order = steps.order(CID, { sizeBytes: 1 })
        expect(order.toSorted()).toEqual(on.toSorted())
        const best = (name: OuterStep): number => {
          const place = ids.findIndex((id) => SOURCES.find((one) => one.id === id)?.kind === KINDS[name])
          return place === -1 ? ids.length : place
        }
        expect(order.map(best)).toEqual(order.map(best).toSorted((a, b) => a - b))
        // Where none is in the list, as for private content, it is the usual one.
        const unnamed = order.filter((name) => best(name) === ids.length)
        expect(unnamed).toEqual(NAMES.filter((name) => unnamed.includes(name)))
        // A fetch does the same, and within each step.
        steps.open({ dag: CID, providersOf: CID, scope: 'all' }, { sizeBytes: 1 })
        expect([...opened.keys()]).toEqual(order)
        for (const name of on) {
          const own = SOURCES.filter(({ kind }) => kind === KINDS[name]).map(({ id }) => id)
          expect(opened.get(name)).toEqual(ids.filter((id) => own.includes(id)))
        }
        expect(router.asked.every(({ sizeBytes }) => sizeBytes === 1)).toBe(true)
      }),
    )
  })

  it('is the usual one without a router', () => {
    const steps = NAMES.toReversed().map((name) => step(name, undefined, new Map()))
    expect(new DiscoverySteps({ steps }).order(CID)).toEqual(NAMES)
  })

  it('begins with the step that brought the last block of the root, and each is told of once', async () => {
    const router = ranking(['ipfs', 'a', 'http://c'])
    const steps = new DiscoverySteps({
      steps: NAMES.map((name) => step(name, name === 'gateways' ? new Uint8Array(7) : undefined, new Map())),
      router,
    })
    expect((await steps.block(CID, never))?.length).toBe(7)
    expect(router.reports).toMatchObject([
      { kind: 'ipfs', id: 'ipfs', result: 'missing', bytes: 0, latencyMs: null },
      { kind: 'proxy', id: 'a', result: 'missing', bytes: 0 },
      { kind: 'gateway', id: 'http://c', result: 'served', bytes: 7 },
    ])
    expect(steps.order(CID)).toEqual(['gateways', 'ipfs', 'proxy'])
    expect(steps.order(rawCid(Buffer.from('else')))).toEqual(['ipfs', 'proxy', 'gateways'])
  })
})

describe('what is counted of a source', () => {
  const source: Candidate = { kind: 'gateway', id: 'http://c' }
  const waits = (signal: AbortSignal) => (): Promise<Uint8Array> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error))
    })

  it('is that it failed where another one brought what it had long enough for', async () => {
    const results = [-1, Infinity].map(async (headStartMs) => {
      const tally = new Tally(headStartMs)
      const slow = (signal: AbortSignal): Promise<Uint8Array> =>
        tally.ask(source, signal, waits(signal), () => 'missing')
      const fast = async (): Promise<Uint8Array> => new Uint8Array(1)
      await overlap(
        [
          { headStartMs: 0, run: slow },
          { headStartMs: 0, run: fast },
        ],
        never,
      )
      await Promise.resolve()
      return tally.end().map(({ result }) => result)
    })
    expect(await Promise.all(results)).toEqual([['failed'], []])
  })

  it('is nothing where the fetch was called off, or has ended', async () => {
    const cancel = new AbortController()
    const tally = new Tally(-1)
    const going = tally.ask(source, cancel.signal, waits(cancel.signal), () => 'failed')
    cancel.abort(new Error('enough'))
    await expect(going).rejects.toThrow('enough')
    expect(tally.end()).toEqual([])
    await tally.ask(
      source,
      never,
      async () => new Uint8Array(1),
      () => 'failed',
    )
    expect(tally.end()).toEqual([])
  })

  it('is one outcome, of what there was most of; wrong bytes count before all else', async () => {
    const miss = fc.constantFrom('served', 'missing', 'failed', 'invalid')
    await fc.assert(
      fc.asyncProperty(fc.array(miss, { minLength: 1, maxLength: 20 }), async (answers) => {
        const tally = new Tally()
        for (const answer of answers) {
          const fetch = async (): Promise<Uint8Array> => {
            if (answer !== 'served') throw new Error(answer)
            return new Uint8Array(3)
          }
          await tally
            .ask(source, never, fetch, () => (answer === 'served' ? 'failed' : answer))
            .catch(() => undefined)
        }
        const of = (result: string): number => answers.filter((answer) => answer === result).length
        const [outcome, ...others] = tally.end()
        expect(others).toEqual([])
        expect(outcome).toMatchObject({ ...source, bytes: 3 * of('served') })
        expect(outcome?.latencyMs === null).toBe(of('served') === 0)
        const expected =
          of('invalid') > 0
            ? 'invalid'
            : of('failed') > of('served')
              ? 'failed'
              : of('served') > 0
                ? 'served'
                : 'missing'
        expect(outcome?.result).toBe(expected)
      }),
    )
  })
})
