import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { ChunkRefusedError, ChunkStatus } from '../../../protocols/chunk/errors.ts'
import type { ChunkHolder, ColumnDraft } from '../../../protocols/chunk/types.ts'
import { createWorkerPool } from '../../../src/workers/index.ts'
import type { ColumnAt } from '../../../src/vault/contracts.ts'
import { quietLogger } from '../../support/network.ts'
import {
  deletionOf,
  type HolderNode,
  leaseOf,
  makeSlab,
  startNetwork,
  storeSlab,
  type TestSlab,
  whoHolds,
} from '../../support/vault-holders.ts'

const pool = createWorkerPool({ log: quietLogger(), threads: 1 })
afterAll(() => pool.close())

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 })
const WAIT_MS = 60_000

const running: HolderNode[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

// No audits in between: what is restored is what the test asks for.
const quietly = { intervalMs: 3_600_000, graceMs: 3_600_000 }

function heldBy(slab: TestSlab, holders: readonly HolderNode[]): ColumnAt[] {
  return holders.map((node, column) => ({
    slab: slab.slab,
    column,
    indexHash: slab.index.hash,
    peer: node.libp2p.peerId,
  }))
}

function restore(owner: HolderNode, slab: TestSlab, held: readonly ColumnAt[], columns: readonly number[]) {
  return owner.tools.restorer.restore({
    index: slab.index,
    lease: leaseOf(slab).signed,
    columns,
    held,
    purpose: 'repair',
    signal: AbortSignal.timeout(WAIT_MS),
  })
}

const changed =
  (changes: (answers: ChunkHolder) => Partial<ChunkHolder>) =>
  (answers: ChunkHolder): ChunkHolder => {
    const own = changes(answers)
    return new Proxy(answers, {
      get(target, key) {
        const value = own[key as keyof ChunkHolder] ?? target[key as keyof ChunkHolder]
        return typeof value === 'function' ? (value as (...args: never[]) => unknown).bind(target) : value
      },
    })
  }

describe('restoring', () => {
  it('goes round sources that serve garbage and holders that are full or fail half-way', async () => {
    const garbage = changed((answers) => ({
      async piece(slab, segment, options) {
        const piece = await answers.piece(slab, segment, options)
        return piece === undefined ? undefined : new Uint8Array(piece.length)
      },
    }))
    const full = changed(() => ({
      async begin() {
        throw new ChunkRefusedError(ChunkStatus.noSpace)
      },
    }))
    const failing = changed((answers) => ({
      async begin(open, peer) {
        const draft: ColumnDraft = await answers.begin(open, peer)
        return {
          beginPiece: (bytes) => draft.beginPiece(bytes),
          async write() {
            await draft.abort()
            throw new ChunkRefusedError(ChunkStatus.busy)
          },
          commit: (index) => draft.commit(index),
          abort: () => draft.abort(),
        }
      },
    }))
    const wraps = [undefined, garbage, undefined, undefined, full, failing, undefined, undefined, undefined]
    const { owner, holders } = await startNetwork(pool, running, wraps.length, (at) => ({
      ...quietly,
      ...(wraps[at] === undefined ? {} : { wrap: wraps[at] }),
    }))
    const slab = await makeSlab({ pool, k: 2, n: 6, segments: [300_000, 1_048_576, 7] })
    await storeSlab(owner, slab, holders.slice(0, 4))
    const made = await restore(owner, slab, heldBy(slab, holders.slice(0, 4)), [4, 5])
    expect(new Set(made.map(({ column }) => column))).toEqual(new Set([4, 5]))
    expect(new Set(made.map(({ peer }) => peer.toString())).size).toBe(2)
    const held = whoHolds(slab, holders)
    for (const column of [4, 5]) {
      const [holder] = held.get(column) ?? []
      for (const [segment, piece] of (slab.columns[column] ?? []).entries()) {
        const kept = await holder?.columns.piece(slab.slab, segment, { signal: AbortSignal.timeout(WAIT_MS) })
        expect(Buffer.from(kept ?? []).equals(piece)).toBe(true)
      }
    }
  })

  it('says how many pieces were found, and how many holders are missing', async () => {
    const { owner, holders } = await startNetwork(pool, running, 3, () => quietly)
    const slab = await makeSlab({ pool, k: 2, n: 3 })
    await storeSlab(owner, slab, holders)
    await expect(restore(owner, slab, heldBy(slab, holders.slice(0, 1)), [1, 2])).rejects.toMatchObject({
      code: 'ERR_VAULT_PIECES',
      details: { found: 1, needed: 2 },
    })
    await expect(restore(owner, slab, heldBy(slab, holders), [2])).rejects.toMatchObject({
      code: 'ERR_TOO_FEW_HOLDERS',
    })
  })

  it('stops where a new holder knows the owner’s deletion', async () => {
    const { owner, holders } = await startNetwork(pool, running, 3, () => quietly)
    const [first, ...others] = holders
    if (first === undefined) throw new Error('nodes')
    const slab = await makeSlab({ pool, k: 1, n: 3 })
    await storeSlab(owner, slab, [first])
    for (const other of others) {
      await owner.chunk.remove(other.libp2p.peerId, [deletionOf(slab).signed], AbortSignal.timeout(WAIT_MS))
    }
    await expect(restore(owner, slab, heldBy(slab, [first]), [1, 2])).rejects.toMatchObject({
      status: ChunkStatus.tombstoned,
    })
    expect(whoHolds(slab, others).size).toBe(0)
  })

  it('moves no faster than it may', async () => {
    const { owner, holders } = await startNetwork(pool, running, 3, () => quietly)
    const slab = await makeSlab({ pool, k: 1, n: 2, segments: [1_048_576, 1_048_576] })
    await storeSlab(owner, slab, holders.slice(0, 1))
    const startedMs = performance.now()
    await owner.tools.restorer.restore({
      index: slab.index,
      lease: leaseOf(slab).signed,
      columns: [1],
      held: heldBy(slab, holders.slice(0, 1)),
      purpose: 'repair',
      rateBytesPerSecond: 2 * 1_048_576,
      signal: AbortSignal.timeout(WAIT_MS),
    })
    // The second segment waits until the first, in and out, has had its time.
    expect(performance.now() - startedMs).toBeGreaterThan(700)
  })
})
