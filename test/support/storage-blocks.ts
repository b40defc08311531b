import { createHash, hash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { CID } from 'multiformats/cid'
import { create } from 'multiformats/hashes/digest'
import { type FileSystem, nodeFileSystem } from '../../src/storage/files/file-system.ts'
import { blocksLayout } from '../../src/storage/blocks/layout.ts'
import type { Durability } from '../../src/storage/blocks/schema.ts'
import { openBlockStore, type TieredBlockStore } from '../../src/storage/blocks/store.ts'
import { openWriter, type Writer } from '../../src/storage/blocks/writer.ts'
import type { Logger } from '../../src/telemetry/types.ts'

export const MIB = 1024 * 1024

export const silentLog: Logger = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
}

export interface TestBlock {
  cid: CID
  bytes: Uint8Array
}

export function cidOf(bytes: Uint8Array): CID {
  return CID.createV1(0x55, create(0x12, new Uint8Array(hash('sha256', bytes, 'buffer'))))
}

/** The same bytes for the same seed, incompressible, in a buffer of their own. */
export function testBlock(seed: number | string, sizeBytes: number): TestBlock {
  const bytes = new Uint8Array(
    createHash('shake256', { outputLength: sizeBytes }).update(String(seed)).digest(),
  )
  return { cid: cidOf(bytes), bytes }
}

/** A folder of its own for one test; `await using` removes it. */
export async function temporaryHome(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'p2pnode-blocks-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

export interface OpenedBlocks extends AsyncDisposable {
  store: TieredBlockStore
  writer: Writer
  /** CIDs told to `onRot`. */
  rotten: CID[]
}

/** The block store without pins and maintenance. */
export async function openBlocks(
  home: string,
  options: {
    durability?: Durability
    quotaBytes?: number
    memoryBytes?: number
    fs?: FileSystem
    log?: Logger
  } = {},
): Promise<OpenedBlocks> {
  const layout = blocksLayout(home)
  const durability = options.durability ?? 'full'
  const log = options.log ?? silentLog
  const rotten: CID[] = []
  const writer = await openWriter({ databasePath: layout.databasePath, durability, log })
  try {
    const store = await openBlockStore(
      {
        layout,
        durability,
        quotaBytes: options.quotaBytes ?? 1024 * MIB,
        memoryBytes: options.memoryBytes ?? 0,
        fs: options.fs ?? nodeFileSystem,
        log,
        onRot: (cid) => rotten.push(cid),
      },
      writer,
    )
    return { store, writer, rotten, [Symbol.asyncDispose]: () => store.close() }
  } catch (error) {
    await writer.close()
    throw error
  }
}

/** The longest that one turn of the event loop computed while `work` ran: processor time, so that other processes do not count. */
export async function longestTurnMs(work: () => Promise<void>): Promise<number> {
  let running = true
  const working = work().finally(() => {
    running = false
  })
  let longest = 0
  let last = process.threadCpuUsage()
  while (running) {
    await turn()
    const { user, system } = process.threadCpuUsage(last)
    last = process.threadCpuUsage()
    longest = Math.max(longest, (user + system) / 1_000)
  }
  await working
  return longest
}
