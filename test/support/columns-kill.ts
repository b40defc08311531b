import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { columnsLayout } from '../../src/storage/columns/layout.ts'
import { type OpenedColumns, openTestColumns, readColumn } from './columns.ts'
import { temporaryHome } from './storage-blocks.ts'
import { childColumn, RENEWED_UNTIL_MS } from './storage-columns-child.ts'

const CHILD = fileURLToPath(new URL('./storage-columns-child.ts', import.meta.url))

/** Columns of a round are numbered from its multiple of this. */
const ROUND_STEP = 1_000_000

/** What the process said of each column, the last word first in time. */
interface Told {
  stored: Set<number>
  removing: Set<number>
  removed: Set<number>
  buried: Set<number>
  renewed: Set<number>
}

/**
 * Kills a process that stores columns at a random moment, `rounds` times over one home folder, and checks after each what
 * was acknowledged since the one before: columns read back, removed ones are gone, deleted ones stay away, and no file
 * without a row is left. At the end everything is checked again. Resolves to the number of acknowledged columns.
 */
export async function killColumnRounds(rounds: number): Promise<number> {
  await using home = await temporaryHome()
  const told: Told = {
    stored: new Set(),
    removing: new Set(),
    removed: new Set(),
    buried: new Set(),
    renewed: new Set(),
  }
  for (let round = 0; round < rounds; round++) {
    const before = told.stored.size
    const first = round * ROUND_STEP
    await runAndKill(home.path, first, told)
    expect(told.stored.size).toBeGreaterThan(before)
    const isLast = round === rounds - 1
    await using opened = await openTestColumns(home.path)
    await opened.columns.swept
    for (const index of told.stored) {
      if (isLast || index >= first) await expectAsTold(opened, index, told)
    }
    // What was not acknowledged may be there, but then it is whole.
    if (isLast) await opened.columns.scrub({ signal: new AbortController().signal })
    expect(opened.rotten).toEqual([])
    expectSumsRight(opened)
    expect(await filesOf(home.path)).toBe(opened.columns.usage().columns)
  }
  return told.stored.size
}

async function expectAsTold({ columns }: OpenedColumns, index: number, told: Told): Promise<void> {
  const column = childColumn(index)
  if (told.removed.has(index) || told.buried.has(index)) {
    expect(columns.get(column.slab)).toBeUndefined()
    expect(columns.isBuried(column.slab)).toBe(told.buried.has(index))
    return
  }
  // The kill may have come after the removal and before its word.
  if (told.removing.has(index) && columns.get(column.slab) === undefined) return
  const read = await readColumn(columns, column)
  const isWhole = read !== undefined && Buffer.concat(read).equals(Buffer.concat(column.pieces))
  expect(isWhole, `column ${index}`).toBe(true)
  if (told.renewed.has(index)) {
    expect(columns.get(column.slab)).toMatchObject({ untilMs: RENEWED_UNTIL_MS, leaseSequence: 2 })
  }
}

function expectSumsRight({ state }: OpenedColumns): void {
  const kept = state.db.prepare(
    `SELECT purse, charged, columns FROM column_sum WHERE columns > 0 ORDER BY purse`,
  )
  const counted = state.db.prepare(
    `SELECT ifnull(depositor, '') AS purse, sum(charged) AS charged, count(*) AS columns FROM held_column
     WHERE rotten = 0 GROUP BY depositor
     UNION ALL SELECT '*', sum(charged), count(*) FROM held_column WHERE rotten = 0 ORDER BY purse`,
  )
  expect(kept.all()).toEqual(counted.all())
}

async function filesOf(home: string): Promise<number> {
  const entries = await readdir(columnsLayout(home).rootPath, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).length
}

async function runAndKill(home: string, first: number, told: Told): Promise<void> {
  const child = spawn(process.execPath, [CHILD, home, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })
  const ended = once(lines, 'close')
  let storing: () => void = () => {}
  const begun = new Promise<void>((resolve) => {
    storing = resolve
  })
  lines.on('line', (line) => {
    const [word, index] = line.split(' ') as [string, string]
    if (word === 'open') return
    told[word as keyof Told].add(Number(index))
    storing()
  })
  await begun
  await sleep(Math.random() * 400)
  child.kill('SIGKILL')
  await Promise.all([exited, ended])
}
