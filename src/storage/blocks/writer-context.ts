import { statSync } from 'node:fs'
import type { Database } from 'better-sqlite3'
import type { UsageDelta, WriterContext, WriterTransaction } from './operations.ts'
import type { WriterFigures } from './writer-messages.ts'

const COUNTERS = ['sequence', 'block_count', 'block_bytes', 'file_bytes', 'quarantined'] as const

/** The writer thread's transactions, and the figures that follow from them. */
export interface MeteredContext extends WriterContext {
  figures(): WriterFigures
}

/**
 * `onCommit` is called after each transaction. Counters live in memory and are written with every transaction, so that
 * no transaction reads them; a rollback puts them back.
 */
export function createWriterContext(
  db: Database,
  options: { meteredPaths: string[]; unclean: boolean; closing: AbortSignal; onCommit: () => void },
): MeteredContext {
  const stored = new Map(
    db
      .prepare<[], { key: string; value: number }>('SELECT key, value FROM meta')
      .all()
      .map(({ key, value }) => [key, value]),
  )
  let counters = COUNTERS.map((key) => stored.get(key) ?? 0)
  const save = db.prepare<[number, string]>('UPDATE meta SET value = ? WHERE key = ?')
  const begin = db.prepare('BEGIN IMMEDIATE')
  const end = db.prepare('COMMIT')
  const rollback = db.prepare('ROLLBACK')
  const pageSizeBytes = db.pragma('page_size', { simple: true }) as number
  const pageCount = db.prepare<[], number>('PRAGMA page_count').pluck()
  const freePageCount = db.prepare<[], number>('PRAGMA freelist_count').pluck()
  const logPaths = [`${db.name}-wal`, `${db.name}-shm`]

  function commit<T>(change: (transaction: WriterTransaction) => T): T {
    const next = [...counters]
    next[0] = (next[0] as number) + 1
    begin.run()
    try {
      const result = change({
        sequence: next[0],
        account(delta: UsageDelta) {
          add(next, 1, delta.blocks)
          add(next, 2, delta.blockBytes)
          add(next, 3, delta.fileBytes)
          add(next, 4, delta.quarantined)
        },
      })
      for (const [index, key] of COUNTERS.entries()) {
        if (next[index] !== counters[index]) save.run(next[index] as number, key)
      }
      end.run()
      counters = next
      options.onCommit()
      return result
    } catch (error) {
      // SQLite has rolled back by itself after some failures, a full disk among them.
      if (db.inTransaction) rollback.run()
      throw error
    }
  }

  return {
    commit,
    sequence: () => counters[0] as number,
    turn: () => new Promise((resolve) => setImmediate(resolve)),
    closing: options.closing,
    figures() {
      const [sequence, blocks, blockBytes, fileBytes, quarantined] = counters as [
        number,
        number,
        number,
        number,
        number,
      ]
      const meteredBytes = sizeOf(options.meteredPaths)
      const databaseBytes = (pageCount.get() ?? 0) * pageSizeBytes + sizeOf(logPaths) + meteredBytes
      const freeBytes = (freePageCount.get() ?? 0) * pageSizeBytes
      return {
        sequence,
        blocks,
        blockBytes,
        fileBytes,
        quarantined,
        databaseBytes,
        meteredBytes,
        freeBytes,
        pageSizeBytes,
        unclean: options.unclean,
      }
    },
  }
}

function add(counters: number[], index: number, delta: number | undefined): void {
  if (delta !== undefined) counters[index] = (counters[index] as number) + delta
}

function sizeOf(paths: readonly string[]): number {
  return paths.reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0)
}
