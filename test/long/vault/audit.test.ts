import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { ChunkStatus } from '../../../protocols/chunk/errors.ts'
import type { ChunkHolder, SlabId } from '../../../protocols/chunk/types.ts'
import { signDeletion, signLease, slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import { createWorkerPool } from '../../../src/workers/index.ts'
import { eventually, quietLogger } from '../../support/network.ts'
import {
  type HolderNode,
  type HolderOptions,
  leaseOf,
  makeSlab,
  NETWORK,
  startNetwork,
  storeSlab,
  whoHolds,
} from '../../support/vault-holders.ts'

const pool = createWorkerPool({ log: quietLogger(), threads: 1 })
afterAll(() => pool.close())

const running: HolderNode[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

const network = (count: number, optionsOf?: (at: number) => Partial<HolderOptions>) =>
  startNetwork(pool, running, count, optionsOf)

describe('audits', () => {
  it('let co-holders prove what they hold, two of them each column, and conclude nothing bad', async () => {
    const { owner, holders } = await network(4)
    const slab = await makeSlab({ pool, k: 2, n: 4, segments: [200_000, 30_000] })
    await storeSlab(owner, slab, holders)
    await eventually('each holder has audited', () =>
      holders.every(({ holder }) => holder.statistics().visits >= 4),
    )
    const totals = holders.map(({ holder }) => holder.statistics())
    expect(totals.reduce((sum, { auditsPassed }) => sum + auditsPassed, 0)).toBeGreaterThanOrEqual(16)
    for (const { auditsFailed, doubtfulColumns, repairsStarted, isSound } of totals) {
      expect({ auditsFailed, doubtfulColumns, repairsStarted, isSound }).toEqual({
        auditsFailed: 0,
        doubtfulColumns: 0,
        repairsStarted: 0,
        isSound: true,
      })
    }
  })

  it('find the others without a hint', async () => {
    const { owner, holders } = await network(3)
    const slab = await makeSlab({ pool, k: 1, n: 3 })
    await storeSlab(owner, slab, holders, { hint: false })
    await eventually('audits passed', () =>
      holders.some(({ holder }) => holder.statistics().auditsPassed > 0),
    )
    expect(holders.map(({ holder }) => holder.statistics().auditsFailed)).toEqual([0, 0, 0])
  })

  const garbage = (answers: ChunkHolder): ChunkHolder =>
    proxied(answers, {
      async prove(slab: SlabId, segment: number, leaf: number) {
        const proof = await answers.prove(slab, segment, leaf)
        return proof === undefined ? undefined : { ...proof, leaf: new Uint8Array(proof.leaf.length) }
      },
    })

  it('find a holder that serves garbage, repair around it, and keep the evidence', async () => {
    const { owner, holders } = await network(4, (at) => (at === 1 ? { wrap: garbage } : {}))
    const [a, liar, c, spare] = holders
    if (a === undefined || liar === undefined || c === undefined || spare === undefined)
      throw new Error('nodes')
    const slab = await makeSlab({ pool, k: 1, n: 3 })
    await storeSlab(owner, slab, [a, liar, c])
    await eventually('rebuilt at the spare one', () => whoHolds(slab, [spare]).has(1), 30_000)
    const kinds = [a, c].flatMap((node) => node.evidence(liar.name))
    expect(kinds).toContain('audit-failed')
    expect([a, c].flatMap((node) => node.evidence(spare.name))).not.toContain('audit-failed')
  })

  it('find a holder that claims to have what it dropped', async () => {
    const { owner, holders } = await network(4, (at) =>
      at === 0 ? { wrap: (answers) => liesAboutHaving(answers) } : {},
    )
    const [liar, b, c, spare] = holders
    if (liar === undefined || b === undefined || c === undefined || spare === undefined)
      throw new Error('nodes')
    const slab = await makeSlab({ pool, k: 1, n: 3 })
    await storeSlab(owner, slab, [liar, b, c])
    // It drops the column, and goes on saying that it has it.
    const said = await owner.chunk.have(liar.libp2p.peerId, [slab.slab], AbortSignal.timeout(10_000))
    expect(said).toHaveLength(1)
    await liar.columns.remove(slab.slab)
    await eventually('rebuilt at the spare one', () => whoHolds(slab, [spare]).has(0), 30_000)
    expect([b, c].flatMap((node) => node.evidence(liar.name))).toContain('audit-failed')
  })

  it('repair around a holder that accepts, drops and admits it', async () => {
    const { owner, holders } = await network(4)
    const [a, b, dropper, spare] = holders
    if (a === undefined || b === undefined || dropper === undefined || spare === undefined)
      throw new Error('nodes')
    const slab = await makeSlab({ pool, k: 1, n: 3 })
    await storeSlab(owner, slab, [a, b, dropper])
    await dropper.columns.remove(slab.slab)
    await eventually('three columns again', () => whoHolds(slab, holders).size === 3, 30_000)
  })
})

describe('what the slab did not sign', () => {
  it('is refused and leaves evidence: index, lease, renewal, deletion', async () => {
    const { owner, holders } = await network(1)
    const [holder] = holders
    if (holder === undefined) throw new Error('nodes')
    const signal = AbortSignal.timeout(20_000)
    const peer = holder.libp2p.peerId
    const [slab, other] = [await makeSlab({ pool, k: 1, n: 1 }), await makeSlab({ pool, k: 1, n: 1 })]
    const open = {
      publicKey: slab.signer.publicKey,
      group: slab.group,
      column: 0,
      k: 1,
      n: 1,
      maxColumnBytes: slab.index.columnBytes,
      purpose: 'put' as const,
    }
    const thief = { publicKey: slab.signer.publicKey, sign: (bytes: Uint8Array) => other.signer.sign(bytes) }
    const forgedLease = signLease(thief, NETWORK, { untilMs: Date.now() + 60_000, sequence: 9 }).signed
    // One that is forged, one that is too long, and one that has ended.
    const leases = [
      forgedLease,
      leaseOf(slab, { forMs: 402 * 86_400_000 }).signed,
      leaseOf(slab, { forMs: -1_000 }).signed,
    ]
    for (const lease of leases) {
      await expect(holder.holder.answers.begin({ ...open, lease }, owner.name)).rejects.toMatchObject({
        status: ChunkStatus.invalid,
      })
    }
    const stream = await owner.chunk.store(peer, { ...open, lease: leaseOf(slab).signed }, signal)
    for (const piece of slab.columns[0] ?? []) await stream.write(piece, signal)
    await expect(stream.finish(other.index, signal)).rejects.toThrow()
    expect(holder.columns.get(slab.slab)).toBeUndefined()

    // The draft of it is let go in its own time.
    await eventually('stored', () =>
      storeSlab(owner, slab, [holder]).then(
        () => true,
        () => false,
      ),
    )
    const [renewed] = await owner.chunk.renew(peer, [forgedLease], signal)
    expect(renewed).not.toBe(0)
    const forgedDeletion = signDeletion(thief, NETWORK, { atMs: Date.now() }).signed
    const [removed] = await owner.chunk.remove(peer, [forgedDeletion], signal)
    expect(removed).not.toBe(0)
    expect(holder.columns.get(slab.slab)?.leaseSequence).toBe(1)
    const kinds = holder.evidence(owner.name)
    expect(kinds.filter((kind) => kind === 'message-invalid').length).toBeGreaterThanOrEqual(2)

    // The true ones are taken, in the order of their numbers.
    const later = leaseOf(slab, { sequence: 3 }).signed
    expect(await owner.chunk.renew(peer, [later, later], signal)).toEqual([0, 0])
    const [older] = await owner.chunk.renew(peer, [leaseOf(slab, { sequence: 2 }).signed], signal)
    expect(older).not.toBe(0)
    expect(holder.columns.get(slab.slab)?.leaseSequence).toBe(3)
  })
})

function liesAboutHaving(answers: ChunkHolder): ChunkHolder {
  const seen = new Map<string, ReturnType<ChunkHolder['have']>[number]>()
  return proxied(answers, {
    have(slabs: readonly SlabId[]) {
      for (const held of answers.have(slabs)) seen.set(slabKeyOf(held.slab), held)
      return slabs.map((slab) => seen.get(slabKeyOf(slab))).filter((held) => held !== undefined)
    },
  })
}

/** The same holder with some of its answers changed. */
function proxied(answers: ChunkHolder, changes: Partial<ChunkHolder>): ChunkHolder {
  return new Proxy(answers, {
    get(target, key) {
      const own = changes[key as keyof ChunkHolder] ?? target[key as keyof ChunkHolder]
      return typeof own === 'function' ? (own as (...args: never[]) => unknown).bind(target) : own
    },
  })
}
