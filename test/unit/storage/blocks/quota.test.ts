import { execFileSync } from 'node:child_process'
import { readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type FileSystem, nodeFileSystem } from '../../../../src/storage/files/file-system.ts'
import { blocksLayout } from '../../../../src/storage/blocks/layout.ts'
import type { CollectStepReply } from '../../../../src/storage/maintenance/operations.ts'
import { MIB, openBlocks, temporaryHome, testBlock } from '../../../support/storage-blocks.ts'

/** What the home folder really takes: whole blocks of the file system. */
async function diskBytes(path: string): Promise<number> {
  let sum = 0
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const { size } = await stat(join(entry.parentPath, entry.name)).catch(() => ({ size: 0 }))
    sum += Math.ceil(size / 4096) * 4096
  }
  return sum
}

async function filesBelow(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
}

describe('the quota', () => {
  test.each([
    ['large', 100_000, MIB],
    ['small', 10_000, MIB],
    ['tiny', 50, 10_000],
  ])('is never passed by %s blocks that are put at the same time', async (_, size, leastHeldBytes) => {
    await using home = await temporaryHome()
    const quotaBytes = 3 * MIB
    await using opened = await openBlocks(home.path, { quotaBytes })
    const count = Math.min(2_000, Math.ceil((2 * quotaBytes) / size))
    const blocks = Array.from({ length: count }, (_, index) => testBlock(index, size))
    for (let round = 0; round < 4; round++) {
      const step = blocks.slice((round * count) / 4, ((round + 1) * count) / 4)
      const results = await Promise.allSettled(step.map(({ cid, bytes }) => opened.store.put(cid, bytes)))
      const refusals = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
      for (const reason of refusals) {
        expect(reason).toMatchObject({ code: 'ERR_QUOTA', kind: 'no-space' })
      }
      const answers = await Promise.all(step.map(({ cid }) => opened.store.get(cid)))
      expect(answers).toEqual(
        step.map(({ bytes }, index) => (results[index]?.status === 'fulfilled' ? bytes : undefined)),
      )
      expect(opened.store.usage().usedBytes).toBeLessThanOrEqual(quotaBytes)
      expect(await diskBytes(home.path)).toBeLessThanOrEqual(quotaBytes)
    }
    // It must be possible to fill a good part of it.
    expect(opened.store.usage().blockBytes).toBeGreaterThan(leastHeldBytes)
  })

  test('is the same after a new start', async () => {
    await using home = await temporaryHome()
    const quotaBytes = 2 * MIB
    let used: number
    {
      await using opened = await openBlocks(home.path, { quotaBytes })
      for (let index = 0; index < 40; index++) {
        const { cid, bytes } = testBlock(index, 100_000)
        await opened.store.put(cid, bytes).catch(() => {})
      }
      used = opened.store.usage().blockBytes
    }
    await using opened = await openBlocks(home.path, { quotaBytes })
    expect(opened.store.usage().blockBytes).toBe(used)
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => {
        const { cid, bytes } = testBlock(`again ${index}`, 100_000)
        return opened.store.put(cid, bytes)
      }),
    )
    expect(results.some(({ status }) => status === 'rejected')).toBe(true)
    expect(opened.store.usage().usedBytes).toBeLessThanOrEqual(quotaBytes)
  })

  test('what is collected can be used again', async () => {
    await using home = await temporaryHome()
    const quotaBytes = 32 * MIB
    await using opened = await openBlocks(home.path, { quotaBytes })
    async function fill(name: string): Promise<number> {
      const blocks = Array.from({ length: 2_400 }, (_, index) => testBlock(`${name} ${index}`, 12_000))
      for (let start = 0; start < blocks.length; start += 100) {
        const step = blocks.slice(start, start + 100)
        await Promise.allSettled(step.map(({ cid, bytes }) => opened.store.put(cid, bytes)))
      }
      expect(opened.store.usage().usedBytes).toBeLessThanOrEqual(quotaBytes)
      return opened.store.usage().blocks
    }
    const first = await fill('first')
    const horizon = await opened.writer.call<number>('maintenance.horizon', {})
    for (let state = ''; state !== 'done'; ) {
      const step = await opened.writer.call<CollectStepReply>('maintenance.collect', { horizon })
      await opened.store.discard(step.removed)
      state = step.state
    }
    expect(opened.store.usage().blocks).toBe(0)
    await opened.writer.call('blocks.vacuum', {})
    expect(opened.store.usage().usedBytes).toBeLessThan(MIB)
    expect(await fill('second')).toBeGreaterThan(first * 0.9)
  })

  test('a block that is held is put again for nothing', async () => {
    await using home = await temporaryHome()
    const { cid, bytes } = testBlock('held', 100_000)
    await (async () => {
      await using opened = await openBlocks(home.path)
      await opened.store.put(cid, bytes)
    })()
    await using opened = await openBlocks(home.path, { quotaBytes: 1 })
    await opened.store.put(cid, bytes)
    expect(await opened.store.get(cid)).toEqual(bytes)
    const other = testBlock('other', 10)
    await expect(opened.store.put(other.cid, other.bytes)).rejects.toMatchObject({ code: 'ERR_QUOTA' })
  })
})

describe('a disk that is full while a file is written', () => {
  const STEPS: (keyof FileSystem)[] = ['writeFile', 'makeFolder', 'rename', 'syncFolder']

  test.each(STEPS)('at %s: the put fails, nothing stays, the next put works', async (step) => {
    await using home = await temporaryHome()
    let full = false
    const failing: FileSystem = {
      ...nodeFileSystem,
      async [step](...args: never[]) {
        const work = nodeFileSystem[step] as (...args: never[]) => Promise<unknown>
        if (full && step !== 'writeFile') throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
        const result = await work(...args)
        // A write fails after some of it went through.
        if (full) throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
        return result
      },
    }
    const layout = blocksLayout(home.path)
    await using opened = await openBlocks(home.path, { fs: failing })
    const held = testBlock('held', 50_000)
    await opened.store.put(held.cid, held.bytes)
    const filesBefore = await filesBelow(layout.rootPath)
    full = true
    const { cid, bytes } = testBlock('refused', 50_000)
    await expect(opened.store.put(cid, bytes)).rejects.toMatchObject({
      code: 'ERR_DISK_FULL',
      kind: 'no-space',
    })
    expect(await opened.store.has(cid)).toBe(false)
    expect(await filesBelow(layout.rootPath)).toEqual(filesBefore)
    expect(await opened.store.get(held.cid)).toEqual(held.bytes)
    full = false
    await opened.store.put(cid, bytes)
    expect(await opened.store.get(cid)).toEqual(bytes)
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

describe('a full file system', () => {
  test.for([
    ['files', 200_000],
    ['blocks in the database', 12_000],
  ] as const)(
    'fails puts of %s cleanly, goes on reading, and takes puts again once there is room',
    async ([, size], context) => {
      await using home = await temporaryHome()
      const unmount = mountTmpfs(home.path, 40)
      if (unmount === undefined) return context.skip('mounting a tmpfs needs root')
      try {
        const ballast = join(home.path, 'ballast')
        await writeFile(ballast, new Uint8Array(24 * MIB))
        const held: { cid: ReturnType<typeof testBlock>['cid']; bytes: Uint8Array }[] = []
        {
          await using opened = await openBlocks(home.path)
          const failures: unknown[] = []
          for (let index = 0; failures.length < 20; index += 10) {
            const group = Array.from({ length: 10 }, (_, offset) => testBlock(index + offset, size))
            const results = await Promise.allSettled(
              group.map(({ cid, bytes }) => opened.store.put(cid, bytes)),
            )
            for (const [offset, result] of results.entries()) {
              if (result.status === 'fulfilled') held.push(group[offset] as (typeof group)[number])
              else failures.push(result.reason)
            }
          }
          for (const failure of failures) expect(failure).toMatchObject({ code: 'ERR_DISK_FULL' })
          expect(held.length).toBeGreaterThan(10)
          expect(await readdir(blocksLayout(home.path).tmpPath)).toEqual([])
          for (const { cid, bytes } of held) expect(await opened.store.get(cid)).toEqual(bytes)
          expect(opened.store.usage().blocks).toBe(held.length)

          await rm(ballast)
          for (let index = 0; index < 8; index++) {
            const block = testBlock(`after ${index}`, size)
            await opened.store.put(block.cid, block.bytes)
            held.push(block)
          }
        }
        await using opened = await openBlocks(home.path)
        for (const { cid, bytes } of held) expect(await opened.store.get(cid)).toEqual(bytes)
      } finally {
        unmount()
      }
    },
  )

  test('does not keep a node from starting, nor from reading', async (context) => {
    await using home = await temporaryHome()
    const unmount = mountTmpfs(home.path, 8)
    if (unmount === undefined) return context.skip('mounting a tmpfs needs root')
    try {
      const { cid, bytes } = testBlock('before', 30_000)
      await (async () => {
        await using opened = await openBlocks(home.path)
        await opened.store.put(cid, bytes)
        await opened.store.lease('of this run', { endsWithProcess: true })
      })()
      const ballast = join(home.path, 'ballast')
      // To the last byte: writing ends with ENOSPC.
      await writeFile(ballast, new Uint8Array(16 * MIB)).catch(() => {})
      // SQLite cannot make the index of its log, without which nothing can be read: the one case that is refused.
      await expect(openBlocks(home.path)).rejects.toMatchObject({ code: 'ERR_DISK_FULL' })
      await truncate(ballast, (await stat(ballast)).size - 40 * 1024)
      await using opened = await openBlocks(home.path)
      expect(await opened.store.get(cid)).toEqual(bytes)
      const more = testBlock('more', 30_000)
      await expect(opened.store.put(more.cid, more.bytes)).rejects.toMatchObject({ code: 'ERR_DISK_FULL' })
      await rm(ballast)
      await opened.store.put(more.cid, more.bytes)
      expect(await opened.store.get(more.cid)).toEqual(more.bytes)
    } finally {
      unmount()
    }
  })
})
