import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { decodeBundle, encodeBundle, MAX_BUNDLE_PAYLOADS } from '../../../protocols/message/index.ts'
import { Bundles } from '../../../src/gossip/bundles.ts'
import { MAX_AGE_MS, MAX_AHEAD_MS } from '../../../src/gossip/limits.ts'
import { TOPIC_MAX_BYTES, type TopicRules, type Verdict } from '../../../src/gossip/topics.ts'
import { openState } from '../../../src/storage/state/index.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { quietLogger } from '../../support/network.ts'

const NOW_MS = 1_700_000_000_000
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (data: Uint8Array): string => new TextDecoder().decode(data)

const RULES: TopicRules = {
  name: 'news',
  maxBytes: 1_000,
  authorRate: { perSecond: 10, burst: 100 },
  check: ({ data }) => (text(data).startsWith('bad') ? 'reject' : text(data) === 'old' ? 'ignore' : 'accept'),
}

let home: string
let state: StateDatabase
let clock: { nowMs: number }
const open = (): Bundles => {
  const bundles = new Bundles({
    state,
    log: quietLogger(),
    now: () => clock.nowMs,
  })
  bundles.start()
  return bundles
}

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'p2pnode-bundles-'))
  state = await openState({ path: join(home, 'state.db'), log: quietLogger() })
  clock = { nowMs: NOW_MS }
})
afterEach(async () => {
  await state.close()
  await rm(home, { recursive: true, force: true })
})

function hear(bundles: Bundles, data: Uint8Array, author = 'a'): Verdict | Promise<Verdict> | undefined {
  return bundles.around(RULES).check?.({ author, topic: 'news', data })
}

const bundleOf = (payloads: string[], sequence = 1n, timeMs = clock.nowMs): Uint8Array =>
  encodeBundle({ sequence, timeMs, payloads: payloads.map(bytes) })

describe('what services say', () => {
  it('travels together where it is said in one turn, in messages that gossip carries', async () => {
    const bundles = open()
    const sent: Uint8Array[] = []
    const send = async (data: Uint8Array): Promise<number> => sent.push(data)
    await Promise.all(['one', 'two', 'three'].map((said) => bundles.publish('news', bytes(said), send)))
    await bundles.publish('news', bytes('later'), send)
    expect(sent.map((data) => decodeBundle(data).payloads.map(text))).toEqual([
      ['one', 'two', 'three'],
      ['later'],
    ])
    const many = Array.from({ length: 200 }, (_, index) => `${index} ${'.'.repeat(900)}`)
    await Promise.all(many.map((said) => bundles.publish('news', bytes(said), send)))
    const batches = sent.slice(2)
    expect(batches.flatMap((data) => decodeBundle(data).payloads.map(text))).toEqual(many)
    for (const data of batches) {
      expect(data.byteLength).toBeLessThanOrEqual(TOPIC_MAX_BYTES)
      expect(decodeBundle(data).payloads.length).toBeLessThanOrEqual(MAX_BUNDLE_PAYLOADS)
    }
    const sequences = sent.map((data) => decodeBundle(data).sequence)
    expect(sequences).toEqual(sequences.toSorted((a, b) => (a < b ? -1 : 1)))
    expect(new Set(sequences).size).toBe(sent.length)
    expect(bundles.counts().bundled).toBe(204)
  })

  it('is bounded while it waits, and fails for all who said it together', async () => {
    const bundles = open()
    const fails = async (): Promise<number> => {
      throw new Error('no')
    }
    const said = Array.from({ length: 100 }, () => bundles.publish('news', new Uint8Array(60_000), fails))
    const ends = await Promise.allSettled(said)
    expect(ends.every(({ status }) => status === 'rejected')).toBe(true)
    expect(
      ends.filter((end) => (end as PromiseRejectedResult).reason.code === 'ERR_GOSSIP_BUSY').length,
    ).toBe(100 - Math.floor((4 * 1024 * 1024) / 60_064))
    await expect(bundles.publish('news', bytes('again'), async () => 3)).resolves.toBe(3)
  })

  it('is taken once, over restarts too, and neither late nor early', async () => {
    const first = open()
    const data = bundleOf(['hello'])
    expect(await hear(first, data)).toBe('accept')
    expect(first.payloads(data).map(text)).toEqual(['hello'])
    expect(await hear(first, bundleOf(['hello']))).toBe('ignore')
    expect(await hear(first, bundleOf(['hello']), 'b')).toBe('accept')
    expect(await hear(first, bundleOf(['late'], 2n, clock.nowMs - MAX_AGE_MS - 1))).toBe('ignore')
    expect(await hear(first, bundleOf(['early'], 3n, clock.nowMs + MAX_AHEAD_MS + 1))).toBe('ignore')
    expect(first.counts()).toMatchObject({ repeated: 1, stale: 2 })
    first.stop()
    const second = open()
    expect(await hear(second, bundleOf(['hello']))).toBe('ignore')
    expect(await hear(second, bundleOf(['new'], 4n))).toBe('accept')
    second.stop()
  })

  it('reaches subscribers as far as the topic takes it, and not at all where a part is bad', async () => {
    const bundles = open()
    const mixed = bundleOf(['good', 'old', 'better'])
    expect(await hear(bundles, mixed)).toBe('accept')
    expect(bundles.payloads(mixed).map(text)).toEqual(['good', 'better'])
    expect(await hear(bundles, bundleOf(['old'], 2n))).toBe('ignore')
    const bad = bundleOf(['good', 'bad'], 3n)
    expect(await hear(bundles, bad)).toBe('reject')
    expect(bundles.payloads(bad)).toEqual([])
    expect(await hear(bundles, bundleOf(['x'.repeat(1_001)], 4n))).toBe('reject')
    bundles.stop()
  })

  it('costs its author as much as there is in it, and nothing where it is old or was heard before', async () => {
    const bundles = open()
    const cost = (data: Uint8Array, author = 'a') =>
      bundles.around(RULES).cost?.({ author, topic: 'news', data })
    const full = bundleOf(Array.from({ length: 60 }, (_, index) => `${index}`))
    // Asking changes nothing.
    expect([cost(full), cost(full)]).toEqual([60, 60])
    expect(await hear(bundles, full)).toBe('accept')
    expect(cost(full)).toBe('ignore')
    expect(cost(bundleOf(['one']), 'b')).toBe(1)
    expect(cost(bundleOf(['late'], 2n, clock.nowMs - MAX_AGE_MS - 1))).toBe('ignore')
    expect(cost(bundleOf(['x'.repeat(1_001)], 2n))).toBe('reject')
    expect(cost(new Uint8Array(9))).toBe('reject')
    bundles.stop()
  })

  it('is refused where it is no bundle', async () => {
    const bundles = open()
    for (const data of [
      new Uint8Array(0),
      new Uint8Array(50).fill(255),
      bundleOf([]),
      // A field that nobody knows, of 100 bytes.
      Buffer.concat([bundleOf(['padded']), Buffer.from([0x7a, 100]), Buffer.alloc(100)]),
      bundleOf(Array.from({ length: MAX_BUNDLE_PAYLOADS + 1 }, () => 'x')),
    ])
      expect(await hear(bundles, data)).toBe('reject')
    bundles.stop()
  })
})
