/**
 * The sealed columns that this node keeps for others: one file a slab below HOME/columns, rows in state.db.
 *
 * @example
 * const columns = await openColumns({ home, state, config, quota: blocks.quota, log })
 * const begun = await columns.begin({ slab, column, maxColumnBytes, … })
 * if ('alreadyHeld' in begun) return
 * for (const piece of pieces) {
 *   begun.beginPiece(piece.byteLength)
 *   await begun.write(piece)
 * }
 * await begun.commit(index) // now it survives power loss
 */
import type { Logger } from '../../telemetry/types.ts'
import { type FileSystem, nodeFileSystem } from '../files/file-system.ts'
import type { Durability } from '../blocks/schema.ts'
import { isStorageError } from '../errors.ts'
import type { StateDatabase } from '../state/index.ts'
import { type ColumnStoreOptions, ColumnStore, setUnclean } from './columns.ts'
import { ColumnFiles } from './files.ts'
import { columnsLayout } from './layout.ts'

export interface OpenColumnsOptions {
  home: string
  state: StateDatabase
  config: {
    /** Bound on what is lent to others: files, rows, and what is being written. */
    offerBytes: number
    durability: Durability
    scrubRateBytesPerSecond: number
  }
  /** The bound on everything that the node stores. */
  quota: ColumnStoreOptions['quota']
  log: Logger
  /** For tests: what stands between the files and the disk. */
  fs?: FileSystem
  now?: () => number
}

/**
 * Opens HOME/columns beside an open state.db, and empties its tmp. The caller holds the home folder's lock, and closes the
 * state after the columns.
 * @throws ERR_STORAGE_IO, ERR_STATE_CORRUPT, ERR_STATE_UNUSABLE
 */
export async function openColumns(options: OpenColumnsOptions): Promise<ColumnStore> {
  const { state, config, log, fs = nodeFileSystem } = options
  const layout = columnsLayout(options.home)
  const files = new ColumnFiles(fs, layout, config)
  await files.open()
  const unclean = state.db
    .prepare<[], number>(`SELECT value FROM column_meta WHERE key = 'unclean'`)
    .pluck()
    .get()
  try {
    await state.write(() => setUnclean(state, 1))
  } catch (error) {
    // A full disk must not keep the node from starting: reads work, and nothing is stored before there is room.
    if (!isStorageError(error, 'ERR_DISK_FULL')) throw error
    log.warn({ err: error }, 'the disk is full')
  }
  return new ColumnStore({
    layout,
    fs,
    files,
    state,
    durability: config.durability,
    offeredBytes: config.offerBytes,
    scrubRateBytesPerSecond: config.scrubRateBytesPerSecond,
    quota: options.quota,
    log,
    now: options.now ?? Date.now,
    unclean: unclean === 1,
  })
}

export type { ColumnRow, Columns, Draft, DraftOptions } from './types.ts'
