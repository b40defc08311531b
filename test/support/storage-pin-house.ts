import assert from 'node:assert/strict'
import Database from 'better-sqlite3'
import { CID } from 'multiformats/cid'
import { keyOf } from '../../src/storage/blocks/hashes.ts'
import type { Operations } from '../../src/storage/blocks/operations.ts'
import { openForWriting, PLACE_DATA, PLACE_MISSING } from '../../src/storage/blocks/schema.ts'
import { createWriterContext } from '../../src/storage/blocks/writer-context.ts'
import { maintenanceOperations } from '../../src/storage/maintenance/operations.ts'
import { linksOf } from '../../src/storage/pins/links.ts'
import { pinOperations } from '../../src/storage/pins/operations.ts'
import {
  KIND_DIRECT,
  KIND_RECURSIVE,
  type PinRow,
  STATE_PINNED,
  STATE_WALKING,
} from '../../src/storage/pins/states.ts'
import type { StepResult } from '../../src/storage/pins/walk.ts'
import type { TestBlock } from './storage-blocks.ts'

/**
 * The writer thread's operations for pins and collections, called directly on a database in memory, with a clock that
 * counts looks at it: every run repeats exactly, and a step can be cut anywhere. Checks itself at every step.
 */
export class PinHouse {
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
      assert.match(String(error), /the disk is full/)
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

  /** What is still to be done for a reference. */
  entry(cid: CID): { delta: number; applied: number } | undefined {
    return this.db.prepare('SELECT delta, applied FROM ref_work WHERE cid = ?').get(cid.bytes) as
      | { delta: number; applied: number }
      | undefined
  }

  step(): StepResult {
    const result = this.call<StepResult>('pins.step', {})
    for (const event of result.events) {
      if (event.type === 'pinned') this.#expectWhole(event.pin)
      if (event.type === 'failed') {
        assert.equal(event.malformed, null)
        assert.equal(this.held(CID.decode(event.block).multihash.bytes), false)
      }
    }
    return result
  }

  settle(): void {
    this.setBudget(1_000)
    for (let steps = 0; this.step().more; steps++) assert(steps < 1_000, 'the work ends')
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
      assert(this.held(cid.multihash.bytes), `${cid} is held`)
      assert((this.counts().get(keyOf(cid.bytes)) ?? 0) > 0, `${cid} is counted`)
      assert.equal(this.entry(cid), undefined)
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
      const name = CID.decode(Buffer.from(key, 'latin1')).toString()
      assert.equal(counts.get(key) ?? 0, expected.get(key) ?? 0, `count of ${name}`)
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
      assert.equal(actual, refs.get(keyOf(mh)) ?? 0)
    }
  }

  /** With no work left: what is counted is exactly what pins reach. */
  expectFromScratch(): void {
    const expected = new Map<string, number>()
    const add = (key: string): void => void expected.set(key, (expected.get(key) ?? 0) + 1)
    const reached = new Map<string, CID>()
    for (const pin of this.pins()) {
      assert.equal(pin.state, STATE_PINNED)
      if (pin.kind === KIND_DIRECT) continue
      add(keyOf(pin.cid))
      this.dag(CID.decode(pin.cid), reached)
    }
    for (const cid of reached.values()) for (const child of this.links(cid)) add(keyOf(child.bytes))
    assert.deepEqual(this.counts(), expected)
  }

  expectPinnedHeld(lost: ReadonlySet<string>): void {
    for (const pin of this.pins()) {
      if (pin.state !== STATE_PINNED) continue
      const cid = CID.decode(pin.cid)
      const dag = pin.kind === KIND_RECURSIVE ? [...this.dag(cid).values()] : [cid]
      for (const { multihash } of dag) {
        assert(lost.has(keyOf(multihash.bytes)) || this.held(multihash.bytes))
      }
    }
  }
}
