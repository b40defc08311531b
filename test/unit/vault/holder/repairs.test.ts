import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Lease } from '../../../../protocols/chunk/types.ts'
import { createWorkerPool } from '../../../../src/workers/index.ts'
import type { ColumnAt } from '../../../../src/vault/contracts.ts'
import { Cohort } from '../../../../src/vault/holder/cohort.ts'
import { newCounters } from '../../../../src/vault/holder/counters.ts'
import { Repairs } from '../../../../src/vault/holder/repairs.ts'
import { ByteRate } from '../../../../src/vault/restore/byte-rate.ts'
import { Prover } from '../../../../src/vault/restore/prove.ts'
import { claimColumns, type SlabRepairDependencies } from '../../../../src/vault/restore/slab-repair.ts'
import { eventually, quietLogger } from '../../../support/network.ts'
import { leaseOf, makeSlab } from '../../../support/vault-holders.ts'
import { temporaryState } from '../../../support/vault-state.ts'

const pool = createWorkerPool({ log: quietLogger(), threads: 1 })
afterAll(() => pool.close())

async function peerOf(): Promise<PeerId> {
  return peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
}

/** One slab of which this node holds column 0, in a network of which the test says who proves what. */
async function bench(options: { graceMs?: number; isFit?: () => boolean } = {}) {
  const slab = await makeSlab({ pool, k: 1, n: 3, segments: [1_000] })
  const [self, ...others] = await Promise.all(Array.from({ length: 4 }, peerOf))
  const [second, third, spare] = others
  if (self === undefined || second === undefined || third === undefined || spare === undefined)
    throw new Error('peers')
  const columnAt = (column: number, peer: PeerId): ColumnAt => ({
    slab: slab.slab,
    column,
    indexHash: slab.index.hash,
    peer,
  })
  const live = new Map<number, PeerId>([
    [1, second],
    [2, third],
  ])
  const restores: number[][] = []
  const refusing = new Set<string>()
  const lease: Lease = leaseOf(slab)
  const chunk: SlabRepairDependencies['chunk'] = {
    index: async () => slab.index,
    lease: async () => lease,
    claim: async (peer) => !refusing.has(peer.toString()),
    hint: async () => {},
  }
  const prover = new Prover({
    chunk: {
      peers: () => [],
      async audit(peer) {
        if (![...live.values()].some((holder) => holder.equals(peer))) throw new Error('away')
      },
    },
    trust: { report() {} },
    rate: new ByteRate(),
    bytesPerSecond: Number.POSITIVE_INFINITY,
  })
  const dependencies: SlabRepairDependencies = {
    chunk,
    prover,
    locator: {
      async *holders() {
        for (const [column, peer] of live) yield columnAt(column, peer)
      },
      announce() {},
      withdraw() {},
      async stop() {},
    },
    own: {
      held: async () => ({ index: slab.index, lease, column: columnAt(0, self) }),
      piece: async () => undefined,
    },
    self,
    log: quietLogger(),
    quietMs: 100,
    restorer: {
      async restore({ columns }) {
        restores.push([...columns])
        for (const column of columns) live.set(column, spare)
        return columns.map((column) => ({ column, peer: spare, receipt: {} as never }))
      },
    },
    mayRepair: () => true,
  }
  const clock = { skewMs: 0 }
  const repairs = new Repairs(
    {
      cohort: new Cohort(await temporaryState(), Date.now),
      counters: newCounters(),
      self,
      graceMs: options.graceMs ?? 50,
      intervalMs: 50,
      rateBytesPerSecond: Number.POSITIVE_INFINITY,
      columnCount: () => 3,
      isFit: options.isFit ?? (() => true),
      onTombstoned() {},
      log: quietLogger(),
      random: () => 0,
      monotonicMs: () => performance.now() + clock.skewMs,
    },
    dependencies,
  )
  onTestFinished(() => repairs.stop())
  return { slab, live, restores, refusing, repairs, dependencies, second, third, self, clock }
}

describe('a suspicion', () => {
  it('ends where all is live after all', async () => {
    const { repairs, restores, slab } = await bench()
    repairs.suspect(slab.group, slab.slab)
    repairs.suspect(slab.group, slab.slab)
    expect(repairs.pending).toBe(1)
    await eventually('looked into', () => repairs.pending === 0)
    expect(restores).toEqual([])
  })

  it('becomes a repair after the grace, of what is missing and once', async () => {
    const { repairs, restores, slab, live } = await bench({ graceMs: 300 })
    live.delete(2)
    repairs.suspect(slab.group, slab.slab)
    const startedMs = performance.now()
    await eventually('repaired', () => restores.length > 0 && repairs.pending === 0)
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(300)
    expect(restores).toEqual([[2]])
  })

  it('comes to nothing where the column is back before the grace has passed', async () => {
    const { repairs, restores, slab, live, third } = await bench({ graceMs: 400 })
    live.delete(2)
    repairs.suspect(slab.group, slab.slab)
    await eventually('planned', () => repairs.pending === 1)
    live.set(2, third)
    await eventually('dropped', () => repairs.pending === 0)
    expect(restores).toEqual([])
  })

  it('is left alone while this node is cut off, and waits the whole grace again after a gap', async () => {
    let isFit = true
    const { repairs, restores, slab, live, clock } = await bench({ graceMs: 500, isFit: () => isFit })
    live.delete(2)
    repairs.suspect(slab.group, slab.slab)
    await new Promise((resolve) => {
      setTimeout(resolve, 200)
    })
    expect(repairs.pending).toBe(1)
    isFit = false
    // A day passes at once: the machine slept, on a clock that counts sleep.
    clock.skewMs = 86_400_000
    repairs.restartWaits()
    await new Promise((resolve) => {
      setTimeout(resolve, 800)
    })
    expect(restores).toEqual([])
    isFit = true
    await eventually('repaired in the end', () => restores.length === 1)
  })
})

describe('claims at co-holders', () => {
  it('need more than half of the live ones, so that one that always refuses bars nothing', async () => {
    const { dependencies, slab, refusing, second, third, self } = await bench()
    const at = (column: number, peer: PeerId): ColumnAt => ({
      slab: slab.slab,
      column,
      indexHash: slab.index.hash,
      peer,
    })
    const measured = {
      slab: slab.slab,
      index: slab.index,
      lease: undefined,
      live: [at(0, self), at(1, second), at(2, third)],
      unproven: [],
      missing: [],
      liveColumns: 3,
    }
    const claim = (): Promise<number[]> =>
      claimColumns(dependencies, measured, [5, 6], 1_000, AbortSignal.timeout(5_000))
    expect(await claim()).toEqual([5, 6])
    refusing.add(second.toString())
    expect(await claim()).toEqual([5, 6])
    refusing.add(third.toString())
    expect(await claim()).toEqual([])
  })
})
