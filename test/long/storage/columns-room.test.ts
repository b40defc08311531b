import { execFileSync } from 'node:child_process'
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ChunkStatus } from '../../../protocols/chunk/errors.ts'
import { type FileSystem, nodeFileSystem } from '../../../src/storage/files/file-system.ts'
import { columnsLayout } from '../../../src/storage/columns/layout.ts'
import type { Columns } from '../../../src/storage/columns/index.ts'
import { openStorage } from '../../../src/storage/open.ts'
import { openState } from '../../../src/storage/state/index.ts'
import {
  beginDraft,
  openTestColumns,
  readColumn,
  storeColumn,
  type TestColumn,
  testColumn,
  type TestColumnOptions,
  writePieces,
} from '../../support/columns.ts'
import { MIB, silentLog, temporaryHome, testBlock } from '../../support/storage-blocks.ts'

const noSpace = { code: 'ERR_CHUNK_REFUSED', kind: 'no-space', status: ChunkStatus.noSpace }

/** Stores columns until one is refused; what is held then. */
async function fill(columns: Columns, name: string, options: TestColumnOptions): Promise<TestColumn[]> {
  const held: TestColumn[] = []
  for (;;) {
    const column = testColumn(`${name} ${held.length}`, options)
    try {
      await storeColumn(columns, column)
    } catch (error) {
      expect(error).toMatchObject(noSpace)
      return held
    }
    held.push(column)
  }
}

async function diskBytes(path: string): Promise<number> {
  let sum = 0
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const { size } = await stat(join(entry.parentPath, entry.name)).catch(() => ({ size: 0 }))
    sum += Math.ceil(size / 4096) * 4096
  }
  return sum
}

describe('the offer', () => {
  test('is shared: half for one depositor, a quarter for repair, an eighth kept for it', async () => {
    await using home = await temporaryHome()
    await using opened = await openTestColumns(home.path, { offerBytes: 8 * MIB })
    const { columns } = opened
    const sizes = { k: 1, n: 2, sealedBytes: [100_000] }
    expect(columns.free('a')).toEqual({ depositorBytes: 4 * MIB, repairBytes: 2 * MIB })
    const ofA = await fill(columns, 'a', { ...sizes, peer: 'a' })
    expect(columns.usage().usedBytes).toBeLessThanOrEqual(4 * MIB)
    expect(columns.usage().usedBytes).toBeGreaterThan(3.8 * MIB)
    expect(columns.free('a').depositorBytes).toBeLessThan(0.2 * MIB)
    expect(columns.free('b').depositorBytes).toBe(7 * MIB - columns.usage().usedBytes)
    await fill(columns, 'b', { ...sizes, peer: 'b' })
    expect(columns.usage().usedBytes).toBeLessThanOrEqual(7 * MIB)
    expect(columns.usage().usedBytes).toBeGreaterThan(6.8 * MIB)
    expect(columns.free('c').depositorBytes).toBeLessThan(0.2 * MIB)
    const repaired = await fill(columns, 'repair', { ...sizes, repair: true })
    expect(columns.usage().usedBytes).toBeLessThanOrEqual(8 * MIB)
    expect(columns.usage().repairBytes).toBeGreaterThan(0.8 * MIB)
    // What one depositor gives back, repair may use up to its quarter.
    for (const { slab } of ofA) await columns.remove(slab)
    const more = await fill(columns, 'more repair', { ...sizes, repair: true })
    const { repairBytes, repairPoolBytes } = columns.usage()
    expect(repairPoolBytes).toBe(2 * MIB)
    expect(repairBytes).toBeLessThanOrEqual(repairPoolBytes)
    expect(repairBytes).toBeGreaterThan(1.8 * MIB)
    for (const { slab } of [...repaired, ...more]) await columns.remove(slab)
    expect(columns.usage().repairBytes).toBe(0)
  })

  test('counts what drafts have reserved, and gets it back', async () => {
    await using home = await temporaryHome()
    await using opened = await openTestColumns(home.path, { offerBytes: 8 * MIB })
    const { columns } = opened
    const large = { k: 1, n: 2, sealedBytes: [1_000_000, 1_000_000, 1_000_000] }
    const [one, two] = [testColumn('one', large), testColumn('two', large)]
    const draft = await beginDraft(columns, one.open)
    expect(columns.usage()).toMatchObject({ columns: 0, drafts: 1 })
    expect(columns.usage().usedBytes).toBeGreaterThan(3_000_000)
    await expect(columns.begin(two.open)).rejects.toMatchObject(noSpace)
    await draft.abort()
    expect(columns.usage()).toMatchObject({ usedBytes: 0, drafts: 0 })
    await storeColumn(columns, two)
    // Less than was reserved: the index is smaller than it might have been.
    expect(columns.usage().usedBytes).toBe(Math.ceil((3_000_000 + 600) / 4096) * 4096 + 1024)
  })

  test('of nothing takes nothing; a smaller one than is in use keeps what is held', async () => {
    await using home = await temporaryHome()
    const column = testColumn('kept')
    {
      await using opened = await openTestColumns(home.path)
      await storeColumn(opened.columns, column)
    }
    await using opened = await openTestColumns(home.path, { offerBytes: 0 })
    expect(opened.columns.free('a')).toEqual({ depositorBytes: 0, repairBytes: 0 })
    await expect(opened.columns.begin(testColumn('more').open)).rejects.toMatchObject(noSpace)
    expect(await readColumn(opened.columns, column)).toEqual(column.pieces)
  })

  test('bounds drafts in number', async () => {
    await using home = await temporaryHome()
    await using opened = await openTestColumns(home.path)
    const drafts = await Promise.all(
      Array.from({ length: 64 }, (_, index) => beginDraft(opened.columns, testColumn(index).open)),
    )
    await expect(opened.columns.begin(testColumn('one more').open)).rejects.toMatchObject({
      status: ChunkStatus.busy,
    })
    await Promise.all(drafts.map((draft) => draft.abort()))
    await storeColumn(opened.columns, testColumn('one more'))
  })
})

describe('the quota', () => {
  test('is the bound of blocks and columns together', async () => {
    await using home = await temporaryHome()
    const quotaBytes = 24 * MIB
    const state = await openState({ path: join(home.path, 'state.db'), log: silentLog })
    const storage = await openStorage({
      home: home.path,
      config: {
        quotaBytes,
        offerBytes: quotaBytes,
        durability: 'full',
        memoryBytes: 0,
        scrubRateBytesPerSecond: 0,
      },
      state,
      log: silentLog,
    })
    const { blocks, columns } = storage
    const within = async (): Promise<void> => {
      expect(blocks.usage().usedBytes).toBeLessThanOrEqual(quotaBytes)
      expect(await diskBytes(home.path)).toBeLessThanOrEqual(quotaBytes)
    }
    try {
      for (let index = 0; index < 10; index++) {
        const { cid, bytes } = testBlock(index, MIB)
        await blocks.put(cid, bytes)
      }
      const before = blocks.usage().usedBytes
      // Many small ones, whose rows and log weigh, then large ones until nothing more goes.
      for (let index = 0; index < 400; index++) {
        await storeColumn(
          columns,
          testColumn(`tiny ${index}`, { sealedBytes: [300], peer: `peer ${index % 7}` }),
        )
      }
      await within()
      const peers = ['a', 'b', 'c'].map((peer) =>
        fill(columns, peer, { peer, k: 1, n: 2, sealedBytes: [400_000] }),
      )
      const held = (await Promise.all(peers)).flat()
      await within()
      expect(blocks.usage().usedBytes).toBeGreaterThan(before + columns.usage().usedBytes * 0.9)
      expect(blocks.usage().usedBytes).toBeGreaterThan(quotaBytes * 0.9)
      const late = testBlock('late', MIB)
      await expect(blocks.put(late.cid, late.bytes)).rejects.toMatchObject({ code: 'ERR_QUOTA' })
      for (const { slab } of held.slice(0, 6)) await columns.remove(slab)
      await blocks.put(late.cid, late.bytes)
      await within()
    } finally {
      await storage.close()
      await state.close()
    }
  })
})

describe('a disk that is full while a column is stored', () => {
  const STEPS = ['createFile', 'append', 'sync', 'makeFolder', 'rename', 'syncFolder'] as const

  test.each(STEPS)('at %s: the store is refused, nothing stays, the next one works', async (step) => {
    await using home = await temporaryHome()
    let full = false
    const check = (at: string): void => {
      if (full && at === step) throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
    }
    const failing: FileSystem = {
      ...nodeFileSystem,
      async createFile(path) {
        check('createFile')
        const file = await nodeFileSystem.createFile(path)
        return {
          // Some of it goes through before a write fails.
          append: (bytes) => file.append(bytes).then(() => check('append')),
          sync: () => file.sync().then(() => check('sync')),
          close: () => file.close(),
        }
      },
      makeFolder: (path) => nodeFileSystem.makeFolder(path).finally(() => check('makeFolder')),
      async rename(from, to) {
        check('rename')
        await nodeFileSystem.rename(from, to)
      },
      syncFolder: (path) => nodeFileSystem.syncFolder(path).then(() => check('syncFolder')),
    }
    await using opened = await openTestColumns(home.path, { fs: failing })
    const held = testColumn('held')
    await storeColumn(opened.columns, held)
    full = true
    const column = testColumn('refused')
    await expect(storeColumn(opened.columns, column)).rejects.toMatchObject(noSpace)
    expect(opened.columns.usage()).toMatchObject({ columns: 1, drafts: 0 })
    expect(opened.columns.get(column.slab)).toBeUndefined()
    const entries = await readdir(columnsLayout(home.path).rootPath, { recursive: true, withFileTypes: true })
    expect(entries.filter((entry) => entry.isFile())).toHaveLength(1)
    expect(await readColumn(opened.columns, held)).toEqual(held.pieces)
    full = false
    await storeColumn(opened.columns, column)
    expect(await readColumn(opened.columns, column)).toEqual(column.pieces)
  })
})

/** Mounts a small file system, which takes root; undefined where that is not allowed. */
function mountTmpfs(path: string, sizeMib: number): (() => void) | undefined {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'tmpfs', path], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  return () => execFileSync('umount', ['-l', path], { stdio: 'ignore' })
}

test('a full file system refuses stores cleanly, goes on reading, and takes columns again', async (context) => {
  await using folder = await temporaryHome()
  const home = join(folder.path, 'home')
  await mkdir(home)
  const unmount = mountTmpfs(home, 24)
  if (unmount === undefined) return context.skip('mounting a tmpfs needs root')
  try {
    const ballast = join(home, 'ballast')
    await writeFile(ballast, new Uint8Array(10 * MIB))
    const options = { k: 1, n: 2, sealedBytes: [300_000] }
    let held: TestColumn[]
    {
      await using opened = await openTestColumns(home)
      const { columns } = opened
      // Several at once, so that what is promised to others counts.
      const groups = await Promise.all(
        Array.from({ length: 4 }, (_, index) => fill(columns, `fill ${index}`, options)),
      )
      held = groups.flat()
      expect(held.length).toBeGreaterThan(10)
      expect(await readdir(columnsLayout(home).tmpPath)).toEqual([])
      expect(columns.usage()).toMatchObject({ columns: held.length, drafts: 0 })
      for (const column of held) expect(await readColumn(columns, column)).toEqual(column.pieces)
      // What makes room works on a full disk.
      expect(await columns.remove((held.shift() as TestColumn).slab)).toBe(true)
      await rm(ballast)
      for (let index = 0; index < 5; index++) {
        const column = testColumn(`after ${index}`, options)
        await storeColumn(columns, column)
        held.push(column)
      }
    }
    await using opened = await openTestColumns(home)
    for (const column of held) expect(await readColumn(opened.columns, column)).toEqual(column.pieces)
  } finally {
    unmount()
  }
})

test('a piece that breaks off midway leaves the room to others', async () => {
  await using home = await temporaryHome()
  await using opened = await openTestColumns(home.path, { offerBytes: MIB })
  const options = { k: 1, n: 2, sealedBytes: [400_000] }
  for (let index = 0; index < 5; index++) {
    const column = testColumn(index, options)
    const draft = await beginDraft(opened.columns, column.open)
    await writePieces(draft, [(column.pieces[0] as Uint8Array).subarray(0, 100_000)])
    await draft.abort()
  }
  await storeColumn(opened.columns, testColumn('whole', options))
})
