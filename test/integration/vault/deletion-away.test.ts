import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { ChunkStatus } from '../../../protocols/chunk/errors.ts'
import { createWorkerPool } from '../../../src/workers/index.ts'
import { eventually, quietLogger } from '../../support/network.ts'
import {
  connectAll,
  deletionOf,
  type HolderNode,
  leaseOf,
  makeSlab,
  startHolder,
  startNetwork,
  storeSlab,
} from '../../support/vault-holders.ts'

const pool = createWorkerPool({ log: quietLogger(), threads: 1 })
afterAll(() => pool.close())

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 })
const WAIT_MS = 60_000

const running: HolderNode[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

/** As if the node had stopped so long ago. */
function backdate(home: string, minutes: number): void {
  const db = new Database(join(home, 'state.db'))
  const key = 'vault.alive'
  const row = db.prepare<[string], { value: string }>('SELECT value FROM setting WHERE key = ?').get(key)
  const alive = JSON.parse(row?.value ?? '{}') as { atMs: number }
  alive.atMs -= minutes * 60_000
  db.prepare('UPDATE setting SET value = ? WHERE key = ?').run(JSON.stringify(alive), key)
  db.close()
}

describe('a holder that was away for more than ten minutes', () => {
  it('neither serves nor takes anything before it has learned what was deleted meanwhile', async () => {
    const { owner, holders } = await startNetwork(pool, running, 3)
    const [sleeper, ...others] = holders
    if (sleeper === undefined) throw new Error('nodes')
    const [deleted, kept] = [await makeSlab({ pool, k: 1, n: 3 }), await makeSlab({ pool, k: 1, n: 3 })]
    for (const slab of [deleted, kept]) await storeSlab(owner, slab, holders)
    running.splice(running.indexOf(sleeper), 1)
    await sleeper.stop({ keepHome: true })
    const signal = AbortSignal.timeout(WAIT_MS)
    for (const other of others) {
      await owner.chunk.remove(other.libp2p.peerId, [deletionOf(deleted).signed], signal)
    }
    backdate(sleeper.home, 20)
    const back = await startHolder(sleeper.options)
    running.push(back)
    expect(back.holder.statistics().isStale).toBe(true)
    const { answers } = back.holder
    const busy = expect.objectContaining({ status: ChunkStatus.busy }) as Error
    expect(() => answers.have([kept.slab])).toThrow(busy)
    await expect(answers.piece(kept.slab, 0, { signal })).rejects.toThrow(busy)
    await expect(answers.prove(kept.slab, 0, 0)).rejects.toThrow(busy)
    expect(answers.capacity(owner.name).accepts).toBe(false)
    const fresh = await makeSlab({ pool, k: 1, n: 1 })
    const open = {
      publicKey: fresh.signer.publicKey,
      group: fresh.group,
      column: 0,
      k: 1,
      n: 1,
      maxColumnBytes: fresh.index.columnBytes,
      lease: leaseOf(fresh).signed,
      purpose: 'put' as const,
    }
    await expect(answers.begin(open, owner.name)).rejects.toThrow(busy)

    await connectAll([back, ...others])
    await eventually('caught up', () => !back.holder.statistics().isStale, WAIT_MS)
    // What it serves first is no longer what was deleted.
    expect(answers.have([deleted.slab, kept.slab]).map(({ slab }) => slab)).toEqual([kept.slab])
    expect(back.columns.isBuried(deleted.slab)).toBe(true)
  })

  it('serves at once after a short absence', async () => {
    const { owner, holders } = await startNetwork(pool, running, 2)
    const [sleeper] = holders
    if (sleeper === undefined) throw new Error('nodes')
    const slab = await makeSlab({ pool, k: 1, n: 2 })
    await storeSlab(owner, slab, holders)
    running.splice(running.indexOf(sleeper), 1)
    await sleeper.stop({ keepHome: true })
    const back = await startHolder(sleeper.options)
    running.push(back)
    expect(back.holder.answers.have([slab.slab])).toHaveLength(1)
  })
})
