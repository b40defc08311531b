import { randomBytes, randomInt } from 'node:crypto'
import { groupCid } from '../../protocols/chunk/format/index.ts'
import type { SlabId } from '../../protocols/chunk/index.ts'
import { createPlacer } from '../../src/vault/place/index.ts'
import { eventually } from '../../test/support/network.ts'
import type { HouseNode, Stored } from '../../test/support/reading-house.ts'
import { ReadingHouse } from '../../test/support/reading-house.ts'
import { type Row, round } from './report.ts'

const NETWORKS = [8, 50, 200]
const HOLDERS = 8
const NEIGHBOURS = 4
const LONG_MS = 600_000

/** What it costs to find holders, and to choose them, in networks of several sizes; all nodes are in this process. */
export async function locateRows(): Promise<Row[]> {
  const rows: Row[] = []
  for (const count of NETWORKS) rows.push(...(await rowsOf(count)))
  return rows
}

async function rowsOf(count: number): Promise<Row[]> {
  const house = new ReadingHouse({ dht: true })
  try {
    const nodes = await grow(house, count)
    const holders = some(nodes, HOLDERS)
    const stored = await house.put(randomBytes(100_000), holders, { redundancy: { k: 4, n: HOLDERS } })
    for (const { locator } of holders) locator.start()
    const [reader] = (await house.start(1)) as [HouseNode]
    await house.connect(reader, some(nodes, NEIGHBOURS))
    await eventually('the reader knows the DHT', () => reader.routes() > 0, LONG_MS)
    await eventually('all holders are announced', () => isAnnounced(reader, stored, HOLDERS), LONG_MS)
    return [...(await locating(count, house, nodes, stored)), await placing(count, house, nodes)]
  } finally {
    await house.stop()
  }
}

/** Each node knows a few of those that came before it. */
async function grow(house: ReadingHouse, count: number): Promise<HouseNode[]> {
  const nodes: HouseNode[] = []
  while (nodes.length < count) {
    const [node] = (await house.start(1)) as [HouseNode]
    await house.connect(node, some(nodes, NEIGHBOURS))
    node.holder.accepts = true
    nodes.push(node)
  }
  return nodes
}

async function isAnnounced(node: HouseNode, { manifest }: Stored, count: number): Promise<boolean> {
  const found = new Set<string>()
  try {
    const signal = AbortSignal.timeout(10_000)
    for await (const { id } of node.libp2p.contentRouting.findProviders(groupCid(manifest), { signal })) {
      found.add(id.toString())
    }
  } catch {
    // Not yet.
  }
  return found.size >= count
}

/** From a node that is new, has a few neighbours, and was told nothing. */
async function locating(
  count: number,
  house: ReadingHouse,
  nodes: readonly HouseNode[],
  { manifest, slabs }: Stored,
): Promise<Row[]> {
  const [node] = (await house.start(1)) as [HouseNode]
  await house.connect(node, some(nodes, NEIGHBOURS))
  await eventually('it knows the DHT', () => node.routes() > 0, LONG_MS)
  const slab = slabs[0] as SlabId
  const connectedBefore = node.libp2p.getPeers().length
  const startedMs = performance.now()
  const columns = new Set<number>()
  let readableMs = Number.NaN
  let allMs = Number.NaN
  const signal = AbortSignal.timeout(LONG_MS)
  for await (const { column } of node.locator.holders([slab], { group: manifest, signal })) {
    columns.add(column)
    if (columns.size === 4) readableMs = performance.now() - startedMs
    if (columns.size < HOLDERS) continue
    allMs = performance.now() - startedMs
    break
  }
  const asked = node.libp2p.getPeers().length
  return [
    {
      name: `location, ${count} nodes: enough to read (4 of ${HOLDERS})`,
      measured: `${round(readableMs)} ms`,
      value: readableMs,
      unit: 'ms',
      note: `found ${columns.size}, the last after ${round(allMs)} ms; ${asked} peers connected then, ${connectedBefore} before`,
    },
  ]
}

/** From a node that is connected to all others: every one is asked what it offers. */
async function placing(count: number, house: ReadingHouse, nodes: readonly HouseNode[]): Promise<Row> {
  const [owner] = (await house.start(1)) as [HouseNode]
  for (let at = 0; at < nodes.length; at += NEIGHBOURS) {
    await house.connect(owner, nodes.slice(at, at + NEIGHBOURS))
  }
  const placer = createPlacer({
    chunk: owner.libp2p.services.chunk,
    trust: { decide: () => ({ allowed: true }), score: () => 0.5, isProven: () => false },
    self: owner.name,
    addressOf: () => '127.0.0.1',
  })
  const startedMs = performance.now()
  const candidates = await placer.candidates({
    group: randomBytes(32),
    n: HOLDERS,
    columnBytes: 2 ** 20,
    purpose: 'put',
    exclude: new Set(),
    signal: AbortSignal.timeout(LONG_MS),
  })
  const durationMs = performance.now() - startedMs
  return {
    name: `placement, ${count} nodes: candidates in order`,
    measured: `${round(durationMs)} ms`,
    value: durationMs,
    unit: 'ms',
    note: `${candidates.length} eligible`,
  }
}

function some<T>(items: readonly T[], count: number): T[] {
  const left = [...items]
  const chosen: T[] = []
  while (chosen.length < count && left.length > 0) chosen.push(...left.splice(randomInt(left.length), 1))
  return chosen
}
