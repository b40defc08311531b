import { createHash } from 'node:crypto'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { expect } from 'vitest'
import {
  type Outcome,
  type Reconcile,
  type ReconciledSet,
  reconcile,
} from '../../protocols/reconcile/index.ts'
import type { Bandwidth } from '../../protocols/shared/bandwidth.ts'
import { eventually, quietLogger, startTestNode, type TestNode } from './network.ts'

export const soon = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(30_000) })

export const idOf = (entry: Uint8Array): Buffer => createHash('sha256').update(entry).digest()
export const entryOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A set in memory, of entries that are texts: what begins with `no` is not wanted, what begins with `bad` is invalid. */
export class MemorySet implements ReconciledSet {
  readonly name: string
  readonly maxEntryBytes = 1_000
  readonly entries = new Map<string, Uint8Array>()
  /** Batches that came from peers. */
  readonly came: { peer: string; entries: readonly Uint8Array[] }[] = []
  #version = 0
  #sorted: Buffer[] | undefined

  constructor(texts: Iterable<string> = [], name = 'texts') {
    this.name = name
    for (const text of texts) this.add(text)
  }

  add(text: string): void {
    const entry = entryOf(text)
    this.entries.set(idOf(entry).toString('hex'), entry)
    this.#changed()
  }

  delete(text: string): void {
    this.entries.delete(idOf(entryOf(text)).toString('hex'))
    this.#changed()
  }

  texts(): string[] {
    return [...this.entries.values()].map((entry) => new TextDecoder().decode(entry)).toSorted()
  }

  version(): number {
    return this.#version
  }

  ids(after: Uint8Array | undefined, limit: number): Uint8Array[] {
    const ids = (this.#sorted ??= [...this.entries.keys()].toSorted().map((id) => Buffer.from(id, 'hex')))
    if (after === undefined) return ids.slice(0, limit)
    let [low, high] = [0, ids.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (Buffer.compare(ids[middle]!, after) <= 0) low = middle + 1
      else high = middle
    }
    return ids.slice(low, low + limit)
  }

  read(id: Uint8Array): Uint8Array | undefined {
    return this.entries.get(Buffer.from(id).toString('hex'))
  }

  async take(entries: readonly Uint8Array[], peer: string): Promise<Outcome[]> {
    this.came.push({ peer, entries })
    return entries.map((entry) => {
      const text = new TextDecoder().decode(entry)
      const id = idOf(entry)
      if (text.startsWith('bad')) return { verdict: 'invalid' }
      if (this.entries.has(id.toString('hex'))) return { verdict: 'known', id }
      if (text.startsWith('no')) return { verdict: 'refused', id }
      this.add(text)
      return { verdict: 'taken', id }
    })
  }

  #changed(): void {
    this.#version += 1
    this.#sorted = undefined
  }
}

/** A node that compares sets with others. */
export interface Member extends TestNode {
  reconcile: Reconcile
  id: PeerId
}

export interface MemberOptions {
  admits?: (peer: string) => boolean
  mayGossip?: (peer: string) => boolean
  bandwidth?: Bandwidth
}

/** A node with the protocol. */
export async function startMember({
  admits = () => true,
  mayGossip = () => true,
  bandwidth,
}: MemberOptions = {}): Promise<Member> {
  const reported: { trust?: TestNode['trust'] } = {}
  const node = await startTestNode({
    init: {
      services: {
        reconcile: reconcile({
          networkName: 'test',
          admits,
          bandwidth,
          trust: {
            decide: (peer) => (mayGossip(peer) ? { allowed: true } : { allowed: false, reason: 'score' }),
            report: (...evidence) => reported.trust?.report(...evidence),
          },
          log: quietLogger(),
        }),
      },
    },
  })
  reported.trust = node.trust
  const service = (node.libp2p.services as unknown as { reconcile: Reconcile }).reconcile
  return { ...node, reconcile: service, id: peerIdFromString(node.peer) }
}

export function holding(node: Member, texts: Iterable<string>, name = 'texts'): MemorySet {
  const set = new MemorySet(texts, name)
  node.reconcile.register(set)
  return set
}

export const numbered = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, index) => `entry ${from + index} ${'.'.repeat(100)}`)

export const evidenceOf = (node: Member, peer: Member): [string, unknown][] =>
  node.trust.evidence({ peer: peer.peer }).evidence.map(({ kind, detail }) => [kind, detail])

/** Every how many entries one of two nodes has one less. */
const STEP = 2_000

/** Two connected nodes have almost the same entries; each entry that one of them has not costs less than 2 KiB. */
export async function compareAlmostTheSame(a: Member, b: Member, entries: number): Promise<void> {
  const all = numbered(entries)
  const differences = entries / STEP
  const ofA = holding(
    a,
    all.filter((_, index) => index % STEP !== 7),
  )
  const ofB = holding(
    b,
    all.filter((_, index) => index % STEP !== 1_234),
  )

  const first = await a.reconcile.run(b.id, ofA, soon())
  expect(first).toMatchObject({ isComplete: true, taken: differences, given: differences, refused: 0 })
  expect(first.sentBytes + first.receivedBytes).toBeLessThan(2 * differences * 2 * 1024)
  expect(ofA.entries.size).toBe(entries)
  expect(ofB.entries.size).toBe(entries)
  expect(ofB.came.every(({ peer }) => peer === a.peer)).toBe(true)

  const second = await b.reconcile.run(a.id, ofB, soon())
  expect(second).toMatchObject({ isComplete: true, taken: 0, given: 0, exchanges: 1 })
  expect(second.sentBytes + second.receivedBytes).toBeLessThan(500)
  expect(a.reconcile.statistics()).toMatchObject({
    begun: 1,
    failed: 0,
    answered: 1,
    taken: differences,
    given: differences,
  })
  expect(b.reconcile.statistics()).toMatchObject({ begun: 1, answered: 1, taken: differences })
  await eventually('giving is evidence', () => evidenceOf(a, b).some(([kind]) => kind === 'message-valid'))
}
