import Database from 'better-sqlite3'
import * as fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { afterEach, expect, test } from 'vitest'
import type { Operations } from '../../../../src/storage/blocks/operations.ts'
import { keyOf } from '../../../../src/storage/blocks/hashes.ts'
import { openForWriting, PLACE_DATA, PLACE_MISSING } from '../../../../src/storage/blocks/schema.ts'
import { createWriterContext } from '../../../../src/storage/blocks/writer-context.ts'
import {
  type CollectStepReply,
  maintenanceOperations,
} from '../../../../src/storage/maintenance/operations.ts'
import { linksOf } from '../../../../src/storage/pins/links.ts'
import { type AddReply, pinOperations, type RemoveReply } from '../../../../src/storage/pins/operations.ts'
import {
  KIND_DIRECT,
  KIND_RECURSIVE,
  type PinRow,
  STATE_PINNED,
  STATE_UNPINNING,
  STATE_WALKING,
} from '../../../../src/storage/pins/states.ts'
import type { StepResult } from '../../../../src/storage/pins/walk.ts'
import type { TestBlock } from '../../../support/storage-blocks.ts'
import { asRaw, cborNode, leaf, pbNode } from '../../../support/storage-pins.ts'

/*
 * The operations of the writer thread against a count from scratch: random DAGs with shared parts, pins that come, go,
 * are given up and crash at every step of the walk, blocks that are lost and healed, collections in between.
 */

/** Each node's links, as indexes of nodes before it; a negative number links to that node's bytes as a raw block. */
type Shape = { links: number[]; pb: boolean }[]

function build(shape: Shape): TestBlock[] {
  const nodes: TestBlock[] = []
  for (const [index, { links, pb }] of shape.entries()) {
    const children = links
      .filter((link) => Math.abs(link) < index)
      .map((link) => {
        const { cid } = nodes[Math.abs(link)] as TestBlock
        return link < 0 ? asRaw(cid) : cid
      })
    if (children.length === 0) nodes.push(leaf(`leaf ${index}`))
    else nodes.push(pb ? pbNode(children, String(index)) : cborNode(children, index))
  }
  return nodes
}

/** Mostly nodes with links to the nodes just before them, so that DAGs are deep and share much. */
const shapes = fc
  .array(
    fc.record({
      links: fc.array(fc.record({ back: fc.integer({ min: 1, max: 5 }), raw: fc.nat({ max: 5 }) }), {
        minLength: 1,
        maxLength: 5,
        size: 'max',
      }),
      pb: fc.boolean(),
    }),
    { minLength: 4, maxLength: 12, size: 'max' },
  )
  .map(
    (nodes): Shape =>
      nodes.map(({ links, pb }, index) => ({
        pb,
        links:
          index < 2 ? [] : links.map(({ back, raw }) => Math.max(0, index - back) * (raw === 0 ? -1 : 1)),
      })),
  )

type Command =
  | { type: 'add'; node: number; name: string; kind: number }
  | { type: 'remove'; node: number; name: string | null; kind: number | null }
  | { type: 'cancel'; pin: number }
  | { type: 'step'; budget: number; failing: boolean }
  | { type: 'crash' }
  | { type: 'lose'; node: number }
  | { type: 'heal'; node: number }
  | { type: 'collect' }

const nodeIndex = fc.nat({ max: 11 })
const commands = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        type: fc.constant('add' as const),
        node: nodeIndex,
        name: fc.constantFrom('', 'a'),
        kind: fc.constantFrom(KIND_RECURSIVE, KIND_RECURSIVE, KIND_RECURSIVE, KIND_DIRECT),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        type: fc.constant('remove' as const),
        node: nodeIndex,
        name: fc.constantFrom(null, '', 'a'),
        kind: fc.constantFrom(null, KIND_DIRECT, KIND_RECURSIVE),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant('cancel' as const), pin: fc.integer({ min: 1, max: 6 }) }),
    },
    {
      weight: 10,
      arbitrary: fc.record({
        type: fc.constant('step' as const),
        budget: fc.integer({ min: 2, max: 40 }),
        failing: fc.nat({ max: 7 }).map((value) => value === 0),
      }),
    },
    { weight: 2, arbitrary: fc.constant({ type: 'crash' as const }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('lose' as const), node: nodeIndex }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('heal' as const), node: nodeIndex }) },
    { weight: 1, arbitrary: fc.constant({ type: 'collect' as const }) },
  ),
  { minLength: 1, maxLength: 60, size: 'max' },
)

class House {
  readonly nodes: TestBlock[]
  db: Database.Database
  readonly #links = new Map<string, CID[]>()
  #operations: Operations
  #budget = 5
  #clock = 0
  #failNext = false

  constructor(nodes: TestBlock[]) {
    this.nodes = nodes
    this.db = openForWriting(':memory:', 'relaxed')
    this.#operations = this.#open()
    for (const node of nodes) {
      this.put(node)
      const links = linksOf(node.cid, node.bytes).map(({ key }) => CID.decode(key))
      this.#links.set(keyOf(node.cid.bytes), links)
    }
  }

  #open(): Operations {
    const { db } = this
    const context = createWriterContext(db, {
      meteredPaths: [],
      unclean: false,
      closing: new AbortController().signal,
      onCommit() {},
    })
    const failing = {
      ...context,
      commit: <T>(change: Parameters<typeof context.commit<T>>[0]): T =>
        context.commit((transaction) => {
          const result = change(transaction)
          if (this.#failNext) throw new Error('the disk is full')
          return result
        }),
    }
    // Every look at the clock takes one of its units, and a step ends when its budget of them is used up.
    const now = (): number => this.#clock++
    const options = { now, stepBudgetMs: () => this.#budget }
    return { ...pinOperations(db, failing, options), ...maintenanceOperations(db, failing) }
  }

  crash(): void {
    const bytes = this.db.serialize()
    this.db.close()
    this.db = new Database(bytes)
    this.#operations = this.#open()
    this.call('pins.retry', {})
  }

  close(): void {
    this.db.close()
  }

  call<T>(operation: string, args: object): T {
    return (this.#operations[operation] as (args: object, call: object) => T)(args, {
      signal: new AbortController().signal,
    })
  }

  setBudget(budget: number): void {
    this.#budget = budget
  }

  failing(work: () => void): void {
    this.#failNext = true
    try {
      work()
    } catch (error) {
      expect(String(error)).toContain('the disk is full')
    } finally {
      this.#failNext = false
    }
  }

  held(mh: Uint8Array): boolean {
    const place = this.db.prepare('SELECT place FROM block WHERE mh = ?').pluck().get(mh) as
      | number
      | undefined
    return place === PLACE_DATA
  }

  put({ cid, bytes }: TestBlock): void {
    const mh = cid.multihash.bytes
    if (this.held(mh)) return
    const id = this.db
      .prepare(
        `INSERT INTO block (mh, size, place, touched) VALUES (?, ?, 0, 0)
         ON CONFLICT (mh) DO UPDATE SET place = 0 RETURNING id`,
      )
      .pluck()
      .get(mh, bytes.byteLength)
    this.db.prepare('INSERT INTO block_data (id, data) VALUES (?, ?)').run(id, bytes)
    this.call('pins.retry', {})
  }

  lose({ cid }: TestBlock): void {
    const id = this.db
      .prepare(`UPDATE block SET place = ${PLACE_MISSING} WHERE mh = ? RETURNING id`)
      .pluck()
      .get(cid.multihash.bytes)
    this.db.prepare('DELETE FROM block_data WHERE id = ?').run(id)
  }

  step(): StepResult {
    const result = this.call<StepResult>('pins.step', {})
    for (const event of result.events) {
      if (event.type === 'pinned') this.#expectWhole(event.pin)
      if (event.type === 'failed') {
        expect(event.malformed).toBeNull()
        expect(this.held(CID.decode(event.block).multihash.bytes)).toBe(false)
      }
    }
    return result
  }

  settle(): void {
    this.setBudget(1_000)
    for (let steps = 0; this.step().more; steps++) expect(steps).toBeLessThan(1_000)
  }

  pins(): PinRow[] {
    return this.db.prepare('SELECT * FROM pin').all() as PinRow[]
  }

  links(cid: CID): CID[] {
    return this.#links.get(keyOf(cid.bytes)) ?? []
  }

  /** The CIDs of a DAG by their keys. */
  dag(root: CID, found = new Map<string, CID>()): Map<string, CID> {
    if (found.has(keyOf(root.bytes))) return found
    found.set(keyOf(root.bytes), root)
    for (const child of this.links(root)) this.dag(child, found)
    return found
  }

  #expectWhole(pinId: number): void {
    const pin = this.pins().find(({ id }) => id === pinId)
    // It may have been removed later in the same step.
    if (pin === undefined || pin.state !== STATE_PINNED) return
    for (const cid of this.dag(CID.decode(pin.cid)).values()) {
      expect(this.held(cid.multihash.bytes), `${cid} is held`).toBe(true)
      expect(this.counts().get(keyOf(cid.bytes)) ?? 0, `${cid} is counted`).toBeGreaterThan(0)
      expect(this.db.prepare('SELECT delta FROM ref_work WHERE cid = ?').get(cid.bytes)).toBeUndefined()
    }
  }

  counts(): Map<string, number> {
    const rows = this.db.prepare('SELECT cid, count FROM ref WHERE deep = 1').all() as {
      cid: Buffer
      count: number
    }[]
    return new Map(rows.map(({ cid, count }) => [keyOf(cid), count]))
  }

  /** (1) of references.ts, and that blocks know how many references they have. */
  expectInvariant(): void {
    const expected = new Map<string, number>()
    const add = (key: string): void => void expected.set(key, (expected.get(key) ?? 0) + 1)
    for (const pin of this.pins()) {
      if (pin.kind === KIND_RECURSIVE && (pin.state === STATE_PINNED || pin.state === STATE_WALKING)) {
        add(keyOf(pin.cid))
      }
    }
    const counts = this.counts()
    const work = this.db.prepare('SELECT cid, applied FROM ref_work').all() as {
      cid: Buffer
      applied: number
    }[]
    const applied = new Map(work.map((entry) => [keyOf(entry.cid), entry.applied]))
    for (const key of counts.keys()) {
      const cid = CID.decode(Buffer.from(key, 'latin1'))
      for (const child of this.links(cid).slice(0, applied.get(key))) add(keyOf(child.bytes))
    }
    for (const key of new Set([...expected.keys(), ...counts.keys()])) {
      if (counts.get(key) === expected.get(key)) continue
      // A row with count 0 waits for its links to be uncounted.
      expect(counts.get(key) ?? 0, `count of ${CID.decode(Buffer.from(key, 'latin1'))}`).toBe(
        expected.get(key) ?? 0,
      )
    }
    const rows = this.db.prepare('SELECT cid FROM ref').pluck().all() as Buffer[]
    const refs = new Map<string, number>()
    for (const cid of rows) {
      const key = keyOf(CID.decode(cid).multihash.bytes)
      refs.set(key, (refs.get(key) ?? 0) + 1)
    }
    for (const { mh, refs: actual } of this.db.prepare('SELECT mh, refs FROM block').all() as {
      mh: Buffer
      refs: number
    }[]) {
      if (actual !== (refs.get(keyOf(mh)) ?? 0)) expect(actual).toBe(refs.get(keyOf(mh)) ?? 0)
    }
  }

  /** With no work left: what is counted is exactly what pins reach. */
  expectFromScratch(): void {
    const expected = new Map<string, number>()
    const add = (key: string): void => void expected.set(key, (expected.get(key) ?? 0) + 1)
    const reached = new Map<string, CID>()
    for (const pin of this.pins()) {
      expect(pin.state).toBe(STATE_PINNED)
      if (pin.kind === KIND_DIRECT) continue
      add(keyOf(pin.cid))
      this.dag(CID.decode(pin.cid), reached)
    }
    for (const cid of reached.values()) for (const child of this.links(cid)) add(keyOf(child.bytes))
    expect(this.counts()).toEqual(expected)
  }

  expectPinnedHeld(lost: ReadonlySet<string>): void {
    for (const pin of this.pins()) {
      if (pin.state !== STATE_PINNED) continue
      const cid = CID.decode(pin.cid)
      const dag = pin.kind === KIND_RECURSIVE ? [...this.dag(cid).values()] : [cid]
      for (const { multihash } of dag) {
        if (!lost.has(keyOf(multihash.bytes))) expect(this.held(multihash.bytes)).toBe(true)
      }
    }
  }
}

let house: House | undefined
afterEach(() => {
  house?.close()
  house = undefined
})

function run(shape: Shape, commands: Command[]): void {
  house?.close()
  const current = new House(build(shape))
  house = current
  const lost = new Set<string>()
  const nodeAt = (index: number): TestBlock => current.nodes[index % current.nodes.length] as TestBlock
  for (const command of commands) {
    switch (command.type) {
      case 'add': {
        const { cid } = nodeAt(command.node)
        const args = { cid: cid.bytes, name: command.name, kind: command.kind, nowMs: 1 }
        const existing = current
          .pins()
          .some(
            (pin) =>
              pin.name === args.name &&
              pin.kind === args.kind &&
              keyOf(pin.cid) === keyOf(cid.bytes) &&
              pin.state !== STATE_UNPINNING,
          )
        if (!existing && !current.held(cid.multihash.bytes)) {
          expect(() => current.call('pins.add', args)).toThrow(
            expect.objectContaining({ code: 'ERR_PIN_INCOMPLETE' }),
          )
        } else current.call<AddReply>('pins.add', args)
        break
      }
      case 'remove': {
        const { cid } = nodeAt(command.node)
        current.call<RemoveReply>('pins.remove', { cid: cid.bytes, name: command.name, kind: command.kind })
        break
      }
      case 'cancel':
        current.call('pins.cancel', { id: command.pin })
        break
      case 'step':
        current.setBudget(command.budget)
        if (command.failing) current.failing(() => current.step())
        else expect(current.step().anomalies).toBe(0)
        break
      case 'crash':
        current.crash()
        break
      case 'lose':
        if (!current.held(nodeAt(command.node).cid.multihash.bytes)) break
        current.lose(nodeAt(command.node))
        lost.add(keyOf(nodeAt(command.node).cid.multihash.bytes))
        break
      case 'heal':
        current.put(nodeAt(command.node))
        lost.delete(keyOf(nodeAt(command.node).cid.multihash.bytes))
        break
      case 'collect': {
        const { state, removed } = current.call<CollectStepReply>('maintenance.collect', {
          horizon: 1_000_000,
        })
        if (state === 'paused') expect(removed).toEqual([])
        for (const { mh } of removed) lost.delete(keyOf(mh))
        current.expectPinnedHeld(lost)
        break
      }
    }
    current.expectInvariant()
  }
  current.settle()
  current.expectInvariant()
  expect(current.pins().filter((pin) => pin.state !== STATE_PINNED)).toEqual([])
  // What could not be uncounted because it was lost goes on once it is healed.
  for (const node of current.nodes) current.put(node)
  current.settle()
  current.expectInvariant()
  current.expectFromScratch()
  for (const pin of current.pins()) {
    current.call('pins.remove', { cid: pin.cid, name: null, kind: null })
  }
  current.settle()
  expect(current.pins()).toEqual([])
  expect(current.db.prepare('SELECT count(*) FROM ref').pluck().get()).toBe(0)
  expect(current.db.prepare('SELECT count(*) FROM ref_work').pluck().get()).toBe(0)
  for (let last = ''; last !== 'done'; ) {
    last = current.call<CollectStepReply>('maintenance.collect', { horizon: 1_000_000 }).state
  }
  expect(current.db.prepare('SELECT count(*) FROM block').pluck().get()).toBe(0)
}

test('counts equal a count from scratch, whatever comes between', () => {
  fc.assert(
    fc.property(shapes, commands, (shape, commands) => run(shape, commands)),
    { numRuns: 80 },
  )
})

test('the order of pins that loses blocks elsewhere keeps them: pin A, pin B, unpin A, pin A again, unpin B, collect', () => {
  const shape: Shape = [
    { links: [], pb: false },
    { links: [], pb: false },
    { links: [0, 1], pb: false },
    { links: [2, 0], pb: true },
    { links: [2, 1], pb: true },
  ]
  house = new House(build(shape))
  const current = house
  const [a, b] = [3, 4].map((index) => current.nodes[index] as TestBlock) as [TestBlock, TestBlock]
  const add = ({ cid }: TestBlock) => {
    current.call('pins.add', { cid: cid.bytes, name: '', kind: KIND_RECURSIVE, nowMs: 1 })
    current.settle()
  }
  const remove = ({ cid }: TestBlock) => {
    current.call('pins.remove', { cid: cid.bytes, name: null, kind: null })
    current.settle()
  }
  add(a)
  add(b)
  remove(a)
  add(a)
  remove(b)
  while (current.call<CollectStepReply>('maintenance.collect', { horizon: 1_000_000 }).state !== 'done');
  current.expectFromScratch()
  for (const cid of current.dag(a.cid).values()) expect(current.held(cid.multihash.bytes)).toBe(true)
  expect(current.held(b.cid.multihash.bytes)).toBe(false)
})

test('a DAG that a damaged block keeps half counted does not pass for whole, and is freed once the block is healed', () => {
  // 5 is a root over 4, 3, 2 in a row; 2 links to the leaves 0 and 1. 6 is another root over 3.
  const shape: Shape = [[], [], [0, 1], [2], [3], [4], [3]].map((links) => ({ links, pb: false }))
  const current = new House(build(shape))
  house = current
  const node = (index: number): TestBlock => current.nodes[index] as TestBlock
  const add = (index: number): void => {
    current.call('pins.add', { cid: node(index).cid.bytes, name: '', kind: KIND_RECURSIVE, nowMs: 1 })
  }
  const entryOf = (index: number): unknown =>
    current.db.prepare('SELECT delta, applied FROM ref_work WHERE cid = ?').get(node(index).cid.bytes)

  current.lose(node(1))
  add(5)
  current.setBudget(4)
  let failed = false
  while (!failed) failed = current.step().events.some(({ type }) => type === 'failed')
  current.lose(node(4))
  // The links of node 4 are in memory no more, so that it cannot be uncounted.
  current.crash()
  current.settle()
  expect(entryOf(4)).toEqual({ delta: 0, applied: expect.any(Number) as number })
  expect(entryOf(2)).toEqual({ delta: 0, applied: 1 })
  expect(current.pins()).toEqual([])

  // Node 3 is counted, all its links are, and still block 1 is not held: only reading through the DAG tells.
  add(6)
  current.settle()
  expect(current.pins()).toEqual([])

  current.put(node(1))
  add(6)
  current.settle()
  expect(current.pins()).toMatchObject([{ state: STATE_PINNED }])
  expect(entryOf(2)).toBeUndefined()
  current.expectInvariant()

  current.put(node(4))
  current.settle()
  current.expectFromScratch()
})
