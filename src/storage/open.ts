/**
 * The house's storage, put together.
 *
 * @example
 * const storage = await openStorage({ home, config, state, log })
 * await storage.blocks.put(cid, bytes)
 * await storage.close()
 */
import type { Worker } from 'node:worker_threads'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../telemetry/types.ts'
import { type FileSystem, nodeFileSystem } from './files/file-system.ts'
import { blocksLayout } from './blocks/layout.ts'
import type { Durability } from './blocks/schema.ts'
import { openBlockStore, type TieredBlockStore } from './blocks/store.ts'
import { openWriter } from './blocks/writer.ts'
import { type Columns, openColumns } from './columns/index.ts'
import { createMaintenance } from './maintenance/index.ts'
import { createPins, type PinSet } from './pins/index.ts'
import type { StateDatabase } from './state/index.ts'
import type { Storage } from './types.ts'

export interface StorageConfig {
  /** Hard bound on what databases, logs, blocks and columns take together. */
  quotaBytes: number
  /** Bound on what is lent to others, within the quota. */
  offerBytes: number
  durability: Durability
  /** The memory tier of the block store; 0 does without. */
  memoryBytes: number
  scrubRateBytesPerSecond: number
}

export interface OpenStorageOptions {
  home: string
  config: StorageConfig
  state: StateDatabase
  log: Logger
  /** Called for each block that was found rotten, after it was quarantined. */
  onRot?: (cid: CID) => void
  /** Called once if nothing can be written any more until a new start; reads go on. */
  onFailure?: (error: Error) => void
  /** What is to write blocks.db, where that comes up already. */
  writerThread?: Worker | undefined
  /** For tests: what stands between the files and the disk. */
  fs?: FileSystem
}

export interface OpenStorage extends Storage {
  readonly blocks: TieredBlockStore
  readonly pins: PinSet
  readonly columns: Columns
}

/**
 * Opens blocks.db, HOME/blocks and HOME/columns beside an open state.db. The caller holds the home folder's lock, and closes the state
 * after the storage.
 * @throws ERR_STORAGE_NEWER, ERR_STORAGE_CORRUPT, ERR_STORAGE_IO
 */
export async function openStorage(options: OpenStorageOptions): Promise<OpenStorage> {
  const { home, config, state, log } = options
  const layout = blocksLayout(home)
  const writer = await openWriter({
    databasePath: layout.databasePath,
    durability: config.durability,
    meteredPaths: [state.path, `${state.path}-wal`, `${state.path}-shm`],
    log: log.child({ part: 'storage' }),
    thread: options.writerThread,
    ...(options.onFailure === undefined ? {} : { onFailure: options.onFailure }),
  })
  let blocks: TieredBlockStore
  try {
    blocks = await openBlockStore(
      {
        layout,
        durability: config.durability,
        quotaBytes: config.quotaBytes,
        memoryBytes: config.memoryBytes,
        fs: options.fs ?? nodeFileSystem,
        log: log.child({ part: 'blocks' }),
        ...(options.onRot === undefined ? {} : { onRot: options.onRot }),
      },
      writer,
    )
  } catch (error) {
    await writer.close()
    throw error
  }
  let columns: Columns
  try {
    columns = await openColumns({
      home,
      state,
      config,
      quota: blocks.quota,
      log: log.child({ part: 'columns' }),
      ...(options.fs === undefined ? {} : { fs: options.fs }),
    })
  } catch (error) {
    await blocks.close()
    throw error
  }
  const pins = createPins({ writer, blocks, log: log.child({ part: 'pins' }) })
  const maintenance = createMaintenance({
    writer,
    blocks,
    pins,
    scrubRateBytesPerSecond: config.scrubRateBytesPerSecond,
    log: log.child({ part: 'maintenance' }),
  })
  // What the last run left half counted goes on in the background; a full disk must not keep the node from starting.
  pins.resume().catch((error: unknown) => log.warn({ err: error }, 'pins could not be taken up again'))

  async function close(): Promise<void> {
    await pins.close()
    await columns.close()
    try {
      await state.datastore.flush()
    } finally {
      await blocks.close()
    }
  }
  let closed: Promise<void> | undefined
  return {
    blocks,
    pins,
    columns,
    maintenance,
    marks: blocks.marks,
    datastore: state.datastore,
    close() {
      closed ??= close()
      return closed
    },
  }
}
