import { copyFile, cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { ChunkRefusedError, ChunkStatus } from '../../../../protocols/chunk/errors.ts'
import type { Draft } from '../../../../src/storage/columns/index.ts'
import {
  type OpenedColumns,
  openTestColumns,
  readColumn,
  type TestColumn,
  testColumn,
  UNTIL_MS,
  writePieces,
} from '../../../support/columns.ts'
import { temporaryHome } from '../../../support/storage-blocks.ts'

const SLABS = 5
const PEERS = ['a', 'b']

/** Two columns of each slab, with the same index but for what is claimed of the other. */
const COLUMNS: TestColumn[] = Array.from({ length: SLABS }, (_, slab) =>
  [1, 2].map((column) =>
    testColumn(`model ${slab}`, {
      column,
      sealedBytes: [500 + slab, 20_000],
      peer: PEERS[slab % 2] as string,
      repair: slab === 4,
    }),
  ),
).flat()

const which = fc.nat({ max: COLUMNS.length - 1 })
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('begin' as const), which }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('commit' as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('commitBad' as const), which }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('abort' as const), which }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('read' as const), which }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('remove' as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('bury' as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('renew' as const),
      which,
      sequence: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('reopen' as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('crash' as const), which }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

interface Held {
  which: number
  sequence: number
}

/** What must be so, in a few maps. */
class Model {
  readonly held = new Map<string, Held>()
  readonly buried: string[] = []
  drafts = new Map<string, { which: number; draft: Draft }>()

  /** What `begin` must answer. */
  begin(slab: string, which: number): 'draft' | 'held' | number {
    if (this.buried.includes(slab)) return ChunkStatus.tombstoned
    const held = this.held.get(slab)
    if (held !== undefined) return held.which === which ? 'held' : ChunkStatus.conflict
    return this.drafts.has(slab) ? ChunkStatus.conflict : 'draft'
  }
}

const at = (index: number): TestColumn => COLUMNS[index] as TestColumn
const keyOf = ({ slab }: TestColumn): string => Buffer.from(slab).toString('hex')

async function statusOf(work: Promise<unknown>): Promise<number | 'done'> {
  try {
    await work
    return 'done'
  } catch (error) {
    if (error instanceof ChunkRefusedError) return error.status
    throw error
  }
}

/** The home as kill -9 at this moment leaves it; nothing is under way but drafts. */
async function crashCopy(home: string, target: string): Promise<void> {
  await mkdir(target)
  for (const name of ['state.db', 'state.db-wal']) await copyFile(join(home, name), join(target, name))
  await cp(join(home, 'columns'), join(target, 'columns'), { recursive: true })
}

/** Everything that can be asked, against the model. */
async function check({ columns }: OpenedColumns, model: Model): Promise<void> {
  for (const [index, column] of COLUMNS.entries()) {
    const held = model.held.get(keyOf(column))
    const isHeld = held?.which === index
    const row = columns.get(column.slab)
    expect(row?.column === column.column).toBe(isHeld)
    if (held === undefined) expect(await readColumn(columns, column)).toBeUndefined()
    if (!isHeld) continue
    expect(row).toMatchObject({ leaseSequence: held.sequence, untilMs: UNTIL_MS + held.sequence - 1 })
    expect(await readColumn(columns, column)).toEqual(column.pieces)
  }
  expect(columns.have(COLUMNS.map(({ slab }) => slab))).toHaveLength(2 * model.held.size)
  expect(columns.list({ limit: 100 }).map(({ slab }) => Buffer.from(slab).toString('hex'))).toEqual(
    [...model.held.keys()].sort(),
  )
  const rows = columns.list({ limit: 100 })
  const charged = (purse: string | undefined): number =>
    rows
      .filter((row) => (row.purse.kind === 'repair' ? 'repair' : row.purse.peer) === (purse ?? 'repair'))
      .reduce((sum, row) => sum + 1_024 + Math.ceil((48 + row.columnBytes + 16 + 390) / 4096) * 4096, 0)
  const all = charged(undefined) + PEERS.reduce((sum, peer) => sum + charged(peer), 0)
  const usage = columns.usage()
  expect(usage).toMatchObject({
    columns: model.held.size,
    drafts: model.drafts.size,
    tombstones: model.buried.length,
    rottenColumns: 0,
  })
  if (model.drafts.size === 0)
    expect(usage).toMatchObject({ usedBytes: all, repairBytes: charged(undefined) })
  expect(columns.tombstones(0, 100).deletions).toHaveLength(model.buried.length)
}

async function run(steps: Step[], root: string): Promise<void> {
  let home = join(root, 'home 0')
  await mkdir(home)
  let opened = await openTestColumns(home)
  const model = new Model()
  let homes = 1
  try {
    for (const step of steps) {
      const column = at(step.which)
      const key = keyOf(column)
      const { columns } = opened
      const open = model.drafts.get(key)
      switch (step.type) {
        case 'begin': {
          const expected = model.begin(key, step.which)
          const begun = await columns.begin(column.open).catch((error: unknown) => error)
          if (expected === 'draft') {
            model.drafts.set(key, { which: step.which, draft: begun as Draft })
            await writePieces(begun as Draft, column.pieces)
          } else if (expected === 'held')
            expect(begun).toMatchObject({ alreadyHeld: { columnBytes: column.index.columnBytes } })
          else expect(begun).toMatchObject({ status: expected })
          break
        }
        case 'commit':
        case 'commitBad': {
          if (open === undefined) break
          const index = step.type === 'commit' ? at(open.which).index : column.otherIndex()
          const status = await statusOf(open.draft.commit(index))
          model.drafts.delete(key)
          expect(status).toBe(step.type === 'commit' ? 'done' : ChunkStatus.invalid)
          if (status === 'done') model.held.set(key, { which: open.which, sequence: 1 })
          break
        }
        case 'abort':
          await open?.draft.abort()
          model.drafts.delete(key)
          break
        case 'read':
          await check(opened, model)
          break
        case 'remove':
          expect(await columns.remove(column.slab)).toBe(model.held.delete(key))
          break
        case 'bury': {
          await columns.bury({ slab: column.slab, signed: column.deletion().signed, keepUntilMs: UNTIL_MS })
          model.held.delete(key)
          if (!model.buried.includes(key)) model.buried.push(key)
          // A draft of it is of no use any more.
          if (open !== undefined)
            expect(await statusOf(open.draft.commit(column.index))).toBe(ChunkStatus.tombstoned)
          model.drafts.delete(key)
          break
        }
        case 'renew': {
          const untilMs = UNTIL_MS + step.sequence - 1
          const { signed } = column.lease({ sequence: step.sequence, untilMs })
          const status = await statusOf(
            columns.renew(column.slab, { signed, untilMs, sequence: step.sequence }),
          )
          const held = model.held.get(key)
          if (held === undefined) expect(status).toBe(ChunkStatus.notHeld)
          else if (step.sequence < held.sequence) expect(status).toBe(ChunkStatus.conflict)
          else {
            expect(status).toBe('done')
            held.sequence = step.sequence
          }
          break
        }
        case 'reopen':
          await opened[Symbol.asyncDispose]()
          model.drafts = new Map()
          opened = await openTestColumns(home)
          break
        case 'crash': {
          const next = join(root, `home ${homes++}`)
          await crashCopy(home, next)
          await opened[Symbol.asyncDispose]()
          home = next
          model.drafts = new Map()
          opened = await openTestColumns(home)
          await opened.columns.swept
          break
        }
      }
    }
    await check(opened, model)
    expect(opened.rotten).toEqual([])
  } finally {
    await opened[Symbol.asyncDispose]()
  }
}

test('any sequence of calls, new starts and crashes leaves what a simple model says', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      await using root = await temporaryHome()
      await run(steps, root.path)
    }),
    { numRuns: 25 },
  )
}, 120_000)
