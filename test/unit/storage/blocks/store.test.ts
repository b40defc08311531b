import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import { create } from 'multiformats/hashes/digest'
import { identity } from 'multiformats/hashes/identity'
import { sha512 } from 'multiformats/hashes/sha2'
import { describe, expect, test } from 'vitest'
import { nodeFileSystem } from '../../../../src/storage/files/file-system.ts'
import { blocksLayout } from '../../../../src/storage/blocks/layout.ts'
import { MIB, openBlocks, temporaryHome, testBlock } from '../../../support/storage-blocks.ts'

const SIZES = [0, 1, 300, 16 * 1024, 16 * 1024 + 1, MIB, 2 * MIB]

describe('put and get', () => {
  test('blocks of every size read back, at once and after a new start', async () => {
    await using home = await temporaryHome()
    const blocks = SIZES.map((size) => testBlock(size, size))
    {
      await using opened = await openBlocks(home.path)
      for (const { cid, bytes } of blocks) {
        expect(await opened.store.get(cid)).toBeUndefined()
        expect(await opened.store.has(cid)).toBe(false)
        await opened.store.put(cid, bytes)
        expect(Buffer.from((await opened.store.get(cid)) as Uint8Array).equals(bytes)).toBe(true)
      }
    }
    await using opened = await openBlocks(home.path)
    for (const { cid, bytes } of blocks) {
      expect(await opened.store.has(cid)).toBe(true)
      expect(await opened.store.size(cid)).toBe(bytes.byteLength)
      expect(Buffer.from((await opened.store.get(cid)) as Uint8Array).equals(bytes)).toBe(true)
    }
    const blockBytes = SIZES.reduce((sum, size) => sum + size)
    expect(opened.store.usage()).toMatchObject({ blocks: SIZES.length, blockBytes, quarantined: 0 })
  })

  test('small blocks make no file, large ones one, and nothing stays in tmp', async () => {
    await using home = await temporaryHome()
    await using opened = await openBlocks(home.path)
    const layout = blocksLayout(home.path)
    const small = testBlock('s', 16 * 1024)
    const large = testBlock('l', 16 * 1024 + 1)
    await Promise.all([small, large].map(({ cid, bytes }) => opened.store.put(cid, bytes)))
    expect((await stat(layout.filePath(large.cid.multihash.bytes))).size).toBe(large.bytes.byteLength)
    await expect(stat(layout.filePath(small.cid.multihash.bytes))).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await readdir(layout.tmpPath)).toEqual([])
  })

  test('the same multihash under another codec is the same block', async () => {
    await using home = await temporaryHome()
    await using opened = await openBlocks(home.path)
    const { cid, bytes } = testBlock('codec', 100)
    await opened.store.put(cid, bytes)
    const other = CID.createV1(0x70, cid.multihash)
    expect(await opened.store.has(other)).toBe(true)
    expect(await opened.store.get(other)).toEqual(bytes)
  })

  test('hasMany answers in order', async () => {
    await using home = await temporaryHome()
    await using opened = await openBlocks(home.path)
    const blocks = Array.from({ length: 1_200 }, (_, index) => testBlock(index, 40))
    const held = blocks.filter((_, index) => index % 3 === 0)
    await Promise.all(held.map(({ cid, bytes }) => opened.store.put(cid, bytes)))
    const answers = await opened.store.hasMany(blocks.map(({ cid }) => cid))
    expect(answers).toEqual(blocks.map((_, index) => index % 3 === 0))
  })

  test('a view into a larger buffer is stored as what it shows', async () => {
    await using home = await temporaryHome()
    await using opened = await openBlocks(home.path, { memoryBytes: MIB })
    const frame = testBlock('frame', 64 * 1024).bytes
    const { cid, bytes } = testBlock('in it', 1_000)
    frame.set(bytes, 500)
    await opened.store.put(cid, frame.subarray(500, 1_500))
    // The sender's buffer is used again for the next frame: what is held must not change with it.
    frame.fill(0)
    expect(await opened.store.get(cid)).toEqual(bytes)
  })
})

describe('what is refused', () => {
  test('bytes that do not match the hash', async () => {
    await using home = await temporaryHome()
    await using opened = await openBlocks(home.path)
    const { cid } = testBlock('a', 100)
    await expect(opened.store.put(cid, testBlock('b', 100).bytes)).rejects.toMatchObject({
      code: 'ERR_BLOCK_INVALID',
      kind: 'verification',
    })
    expect(await opened.store.has(cid)).toBe(false)
    expect(opened.store.usage().blocks).toBe(0)
  })

  test('a block over 2 MiB', async () => {
    await using home = await temporaryHome()
    await using opened = await openBlocks(home.path)
    const { cid, bytes } = testBlock('big', 2 * MIB + 1)
    await expect(opened.store.put(cid, bytes)).rejects.toMatchObject({ code: 'ERR_BLOCK_TOO_LARGE' })
  })

  test('a hash function that cannot be verified, also where the caller says that it was', async () => {
    await using home = await temporaryHome()
    await using opened = await openBlocks(home.path)
    const murmur = CID.createV1(0x55, create(0x22, new Uint8Array(8)))
    for (const options of [{}, { verified: true }]) {
      await expect(opened.store.put(murmur, new Uint8Array(3), options)).rejects.toMatchObject({
        code: 'ERR_HASH_UNSUPPORTED',
      })
    }
    expect(await opened.store.get(murmur)).toBeUndefined()
  })

  test('everything after close', async () => {
    await using home = await temporaryHome()
    const { store } = await openBlocks(home.path)
    await store.close()
    await store.close()
    const { cid, bytes } = testBlock('late', 10)
    for (const call of [
      () => store.put(cid, bytes),
      () => store.get(cid),
      () => store.has(cid),
      () => store.lease('x'),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'ERR_STORAGE_CLOSED' })
    }
  })

  test('a put whose signal has aborted', async () => {
    await using home = await temporaryHome()
    await using opened = await openBlocks(home.path)
    const { cid, bytes } = testBlock('x', 10)
    await expect(opened.store.put(cid, bytes, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    })
  })
})

describe('hash functions', () => {
  test('sha2-512 is verified like sha2-256', async () => {
    await using home = await temporaryHome()
    await using opened = await openBlocks(home.path)
    const bytes = testBlock('512', 20_000).bytes
    const cid = CID.createV1(0x55, await sha512.digest(bytes))
    await opened.store.put(cid, bytes)
    expect(await opened.store.get(cid)).toEqual(bytes)
    await expect(opened.store.put(cid, testBlock('other', 20_000).bytes)).rejects.toMatchObject({
      code: 'ERR_BLOCK_INVALID',
    })
  })

  test('an identity CID is its own block and takes no room', async () => {
    await using home = await temporaryHome()
    await using opened = await openBlocks(home.path)
    const bytes = new TextEncoder().encode('carried by its own name')
    const cid = CID.createV1(0x55, identity.digest(bytes))
    expect(await opened.store.has(cid)).toBe(true)
    expect(await opened.store.size(cid)).toBe(bytes.byteLength)
    expect(await opened.store.get(cid)).toEqual(bytes)
    await opened.store.put(cid, bytes)
    await expect(opened.store.put(cid, new Uint8Array(3))).rejects.toMatchObject({
      code: 'ERR_BLOCK_INVALID',
    })
    expect(opened.store.usage().blocks).toBe(0)
  })
})

describe('puts at the same time', () => {
  /** The real file system, whose writes wait until they are let through. */
  function gated() {
    let writes = 0
    let open: () => void = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    let began: () => void = () => {}
    const begun = new Promise<void>((resolve) => {
      began = resolve
    })
    const fs: typeof nodeFileSystem = {
      ...nodeFileSystem,
      async writeFile(path, bytes, options) {
        writes++
        began()
        await gate
        await nodeFileSystem.writeFile(path, bytes, options)
      },
    }
    return { fs, open, begun, writes: () => writes }
  }

  test('two puts of one block share one write, and the block is readable meanwhile', async () => {
    await using home = await temporaryHome()
    const gate = gated()
    await using opened = await openBlocks(home.path, { fs: gate.fs })
    const { cid, bytes } = testBlock('twice', 100_000)
    const puts = [opened.store.put(cid, bytes), opened.store.put(cid, bytes.slice())]
    await gate.begun
    expect(await opened.store.get(cid)).toEqual(bytes)
    expect(await opened.store.has(cid)).toBe(true)
    expect(await opened.store.size(cid)).toBe(bytes.byteLength)
    gate.open()
    await Promise.all(puts)
    expect(gate.writes()).toBe(1)
    expect(opened.store.usage().blocks).toBe(1)
  })

  test('one caller that gives up does not take the other one along', async () => {
    await using home = await temporaryHome()
    const gate = gated()
    await using opened = await openBlocks(home.path, { fs: gate.fs })
    const { cid, bytes } = testBlock('shared', 100_000)
    const abort = new AbortController()
    const first = opened.store.put(cid, bytes, { signal: abort.signal })
    const second = opened.store.put(cid, bytes)
    await gate.begun
    abort.abort()
    await expect(first).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    gate.open()
    await second
    expect(await opened.store.get(cid)).toEqual(bytes)
  })

  test('a put that waits for its turn can be given up and is not written', async () => {
    await using home = await temporaryHome()
    const gate = gated()
    await using opened = await openBlocks(home.path, { fs: gate.fs })
    // 32 MiB may be under way: the 17th block of 2 MiB waits.
    const blocks = Array.from({ length: 16 }, (_, index) => testBlock(index, 2 * MIB))
    const puts = blocks.map(({ cid, bytes }) => opened.store.put(cid, bytes, { verified: true }))
    const waiting = testBlock('waiting', 2 * MIB)
    const abort = new AbortController()
    const last = opened.store.put(waiting.cid, waiting.bytes, { signal: abort.signal })
    await gate.begun
    abort.abort()
    await expect(last).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    // Put again at once: it must not join the put that was given up.
    const again = opened.store.put(waiting.cid, waiting.bytes)
    gate.open()
    await Promise.all([...puts, again])
    expect(await opened.store.hasMany([...blocks, waiting].map(({ cid }) => cid))).not.toContain(false)
  })

  test('close waits for the puts under way', async () => {
    await using home = await temporaryHome()
    const { cid, bytes } = testBlock('closing', 50_000)
    const small = testBlock('closing small', 500)
    {
      const { store } = await openBlocks(home.path)
      const puts = [store.put(cid, bytes), store.put(small.cid, small.bytes)]
      await store.close()
      await Promise.all(puts)
    }
    await using opened = await openBlocks(home.path)
    expect(await opened.store.get(cid)).toEqual(bytes)
    expect(await opened.store.get(small.cid)).toEqual(small.bytes)
  })

  test('puts that arrive together share commits', async () => {
    await using home = await temporaryHome()
    await using opened = await openBlocks(home.path)
    const before = opened.writer.figures.sequence
    const blocks = Array.from({ length: 500 }, (_, index) => testBlock(index, 100))
    await Promise.all(blocks.map(({ cid, bytes }) => opened.store.put(cid, bytes)))
    expect(opened.writer.figures.sequence - before).toBeLessThanOrEqual(50)
    expect(opened.store.usage().blocks).toBe(500)
  })
})

test('a file that a crash left in tmp is removed at the start', async () => {
  await using home = await temporaryHome()
  const layout = blocksLayout(home.path)
  await (await openBlocks(home.path)).store.close()
  await nodeFileSystem.writeFile(join(layout.tmpPath, '17'), new Uint8Array(10), { sync: false })
  await using opened = await openBlocks(home.path)
  expect(await readdir(layout.tmpPath)).toEqual([])
  expect(opened.store.usage().blocks).toBe(0)
})
