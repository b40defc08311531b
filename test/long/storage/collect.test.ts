import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { temporaryHome, testBlock } from '../../support/storage-blocks.ts'
import { cborNode, type OpenedPins, openPins } from '../../support/storage-pins.ts'

const PINNED = 100_000
const GARBAGE = 100_000
const NODE_LINKS = 500

const never = (): AbortSignal => new AbortController().signal

/** Puts so many leaves of 60 bytes under one root; resolves with the root. */
async function fill({ store }: OpenedPins, leaves: number, salt: string): Promise<CID> {
  const nodes: CID[] = []
  for (let start = 0; start < leaves; start += NODE_LINKS) {
    const blocks = Array.from({ length: NODE_LINKS }, (_, at) => testBlock(`${salt} ${start + at}`, 60))
    const node = cborNode(
      blocks.map(({ cid }) => cid),
      salt,
    )
    await Promise.all([...blocks, node].map(({ cid, bytes }) => store.put(cid, bytes, { verified: true })))
    nodes.push(node.cid)
  }
  const root = cborNode(nodes, salt)
  await store.put(root.cid, root.bytes)
  return root.cid
}

test('over 200 000 blocks, a collection loses nothing and holds nobody up', {
  timeout: 600_000,
}, async () => {
  await using home = await temporaryHome()
  await using house = await openPins(home.path, { memoryBytes: 8_000_000 })
  const { store, pins, maintenance } = house
  const root = await fill(house, PINNED, 'kept')
  const pinStartMs = performance.now()
  await pins.add(root, { kind: 'recursive', signal: never() })
  const pinMs = performance.now() - pinStartMs
  const pinned = store.usage().blocks
  await fill(house, GARBAGE, 'garbage')
  const usedBefore = store.usage().usedBytes

  const ended = new AbortController()
  const delay = monitorEventLoopDelay({ resolution: 5 })
  const collectStartMs = performance.now()
  const collecting = maintenance.collect({ signal: never() }).finally(() => ended.abort())
  delay.enable()
  const lease = await store.lease('adding')
  const latenciesMs: number[] = []
  const put: CID[] = []
  while (!ended.signal.aborted) {
    const block = testBlock(`during ${put.length}`, 3_000)
    const startMs = performance.now()
    await store.put(block.cid, block.bytes)
    latenciesMs.push(performance.now() - startMs)
    put.push(block.cid)
    expect((await store.get(testBlock(`kept ${put.length % PINNED}`, 60).cid))?.byteLength).toBe(60)
  }
  delay.disable()
  const result = await collecting
  const collectMs = performance.now() - collectStartMs

  expect(result.removedBlocks).toBe(GARBAGE + GARBAGE / NODE_LINKS + 1)
  expect(store.usage().blocks).toBe(pinned + put.length)
  expect((await store.hasMany(put)).every(Boolean)).toBe(true)
  for (let at = 0; at < PINNED; at++) {
    if (!(await store.has(testBlock(`kept ${at}`, 60).cid))) expect.fail(`block ${at} was lost`)
  }
  await lease.release()
  expect(store.usage().usedBytes).toBeLessThan(usedBefore)

  latenciesMs.sort((a, b) => a - b)
  const figures = {
    pinMs: Math.round(pinMs),
    collectMs: Math.round(collectMs),
    puts: latenciesMs.length,
    putP50Ms: latenciesMs[Math.floor(latenciesMs.length * 0.5)] ?? 0,
    putP99Ms: latenciesMs[Math.floor(latenciesMs.length * 0.99)] ?? 0,
    loopP99Ms: delay.percentile(99) / 1e6,
  }
  console.log(figures)
  expect(figures.puts).toBeGreaterThan(20)
  expect(figures.putP99Ms).toBeLessThan(250)
  expect(figures.loopP99Ms).toBeLessThan(60)
})
