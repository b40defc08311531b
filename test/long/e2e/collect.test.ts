import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { Peer } from '../../../scripts/bench/processes.ts'
import { type Daemon, Lab } from '../../support/daemon.ts'

/** The smallest that is allowed: many blocks, few bytes. */
const CHUNK_BYTES = 1024
const LEAVES = 100_000
/** Of these, so many are fetched by the other node; and so many more from it. */
const SERVED = 20_000
const FETCHED = 10_000
const MIB = 2 ** 20
/** DESIGN's figure, above an idle process beside it. */
const MAX_LOOP_DELAY_MS = 40
/** What that process probes with, which is in its figure. */
const IDLE_RESOLUTION_MS = 10
/** Where even a process that does nothing waits longer, others use the machine, and the node's figure says nothing of it. */
const CROWDED_MS = 25

const lab = new Lab()
afterAll(() => lab.close())

interface Stats {
  process: { eventLoopDelayP99Ms: number }
  storage: { blocks: number }
}

it('collections over 200 000 blocks, while the node serves, fetches and adds, lose nothing and hold nobody up', async () => {
  const folder = await lab.folder()
  const [node, other] = [await lab.daemon(), await lab.daemon()]
  await other.json(['connect', node.address])
  const made: Record<string, string> = {}
  const make = async (name: string, bytes: number): Promise<string> => {
    const content = randomBytes(bytes)
    await writeFile(join(folder, name), content)
    made[name] = createHash('sha256').update(content).digest('hex')
    return join(folder, name)
  }
  const add = async (daemon: Daemon, path: string, ...args: string[]): Promise<string> =>
    (await daemon.json<{ cid: string }>(['add', path, ...args], { timeoutMs: 600_000 })).cid
  const get = async (daemon: Daemon, cid: string, out: string): Promise<string> =>
    (await daemon.json<{ sha256: string }>(['get', cid, '-o', join(folder, out)], { timeoutMs: 600_000 }))
      .sha256

  const small = ['--chunker', `size-${CHUNK_BYTES}`]
  const kept = await add(node, await make('kept', (LEAVES - SERVED) * CHUNK_BYTES), ...small)
  const served = await add(node, await make('served', SERVED * CHUNK_BYTES), ...small)
  await add(node, await make('garbage', LEAVES * CHUNK_BYTES), ...small, '--no-pin')
  const there = await add(other, await make('there', FETCHED * CHUNK_BYTES), ...small)
  const before = (await node.json<Stats>(['stats'])).storage.blocks
  expect(before).toBeGreaterThan(2 * LEAVES)

  const idle = new Peer(new URL('../../../scripts/bench/loop-delay.ts', import.meta.url), ['2000'])
  let [idleMs, busyMs, rounds, removed] = [0, 0, 0, 0]
  const added: { name: string; cid: string }[] = []
  try {
    let isOver = false
    const transfers = Promise.all([
      get(other, served, 'served there'),
      get(node, there, 'there here'),
    ]).finally(() => {
      isOver = true
    })
    transfers.catch(() => {})
    while (!isOver || rounds < 3) {
      const name = `during ${rounds}`
      const [gc, cid] = await Promise.all([
        node.json<{ removedBlocks: number }>(['gc'], { timeoutMs: 600_000 }),
        add(node, await make(name, 2 * MIB)),
      ])
      added.push({ name, cid })
      removed += gc.removedBlocks
      rounds += 1
      busyMs = Math.max(busyMs, (await node.json<Stats>(['stats'])).process.eventLoopDelayP99Ms)
      idleMs = Math.max(idleMs, (await idle.next<{ p99Ms: number }>()).p99Ms)
    }
    expect(await transfers).toEqual([made.served, made.there])
  } finally {
    await idle.stop()
  }
  console.log({ rounds, removed, blocks: before, busyMs, idleMs })
  expect(removed).toBeGreaterThanOrEqual(LEAVES)

  // Alone, so that nothing is fetched in place of what was lost.
  expect(await other.stop()).toBe(0)
  expect(await get(node, kept, 'kept again')).toBe(made.kept)
  expect(await get(node, served, 'served again')).toBe(made.served)
  for (const { name, cid } of added) expect(await get(node, cid, `${name} again`)).toBe(made[name])
  expect(await node.stop()).toBe(0)
  if (idleMs - IDLE_RESOLUTION_MS < CROWDED_MS) expect(busyMs).toBeLessThan(MAX_LOOP_DELAY_MS + idleMs)
})
