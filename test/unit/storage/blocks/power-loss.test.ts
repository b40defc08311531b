import { expect, test } from 'vitest'
import { afterPowerLoss, ForgetfulFileSystem } from '../../../support/power-loss.ts'
import { openBlocks, type TestBlock, temporaryHome, testBlock } from '../../../support/storage-blocks.ts'

/** Puts blocks of all sizes, cuts the power `times` times meanwhile, and counts acknowledged blocks that are lost. */
async function lostBlocks(
  times: number,
  ignored: ConstructorParameters<typeof ForgetfulFileSystem>[1],
): Promise<number> {
  await using home = await temporaryHome()
  await using disks = await temporaryHome()
  const fs = new ForgetfulFileSystem(home.path, ignored)
  const blocks = Array.from({ length: 120 }, (_, index) => testBlock(index, sizeOf(index)))
  const cuts: { path: string; acknowledged: TestBlock[] }[] = []
  {
    await using opened = await openBlocks(home.path, { fs })
    const acknowledged: TestBlock[] = []
    let next = 0
    await Promise.all(
      Array.from({ length: 12 }, async () => {
        for (let block = blocks[next++]; block !== undefined; block = blocks[next++]) {
          await opened.store.put(block.cid, block.bytes)
          acknowledged.push(block)
          if (acknowledged.length % Math.floor(blocks.length / times) === 0) {
            const told = [...acknowledged]
            cuts.push({ path: await afterPowerLoss(home.path, fs, disks.path), acknowledged: told })
          }
        }
      }),
    )
  }
  expect(cuts).toHaveLength(times)

  let lost = 0
  for (const { path, acknowledged } of cuts) {
    await using opened = await openBlocks(path)
    for (const { cid, bytes } of acknowledged) {
      const read = await opened.store.get(cid)
      if (read === undefined || !Buffer.from(read).equals(bytes)) lost++
    }
    // Rows that were never acknowledged must have their files too: the row is written last.
    for await (const pair of opened.store.asBlockstore().getAll()) await opened.store.get(pair.cid)
    lost += opened.rotten.length
  }
  return lost
}

function sizeOf(index: number): number {
  return [100, 5_000, 16 * 1024, 17_000, 70_000, 300_000][index % 6] as number
}

test('every acknowledged block survives a power loss at any moment', async () => {
  expect(await lostBlocks(4, {})).toBe(0)
})

test('the shim would notice a file that is not flushed', async () => {
  expect(await lostBlocks(1, { fileFlush: true })).toBeGreaterThan(0)
})

test('the shim would notice a folder that is not flushed', async () => {
  expect(await lostBlocks(1, { folderFlush: true })).toBeGreaterThan(0)
})

test('relaxed durability survives the end of the process, flushes no file, and loses whole blocks only', async () => {
  await using home = await temporaryHome()
  await using disks = await temporaryHome()
  const fs = new ForgetfulFileSystem(home.path)
  const blocks = Array.from({ length: 30 }, (_, index) => testBlock(index, sizeOf(index)))
  let cut: string
  {
    await using opened = await openBlocks(home.path, { fs, durability: 'relaxed' })
    await Promise.all(blocks.map(({ cid, bytes }) => opened.store.put(cid, bytes)))
    expect(fs.disk().files.size).toBe(0)
    cut = await afterPowerLoss(home.path, fs, disks.path)
  }
  await using after = await openBlocks(cut, { durability: 'relaxed' })
  const large = blocks.filter(({ bytes }) => bytes.byteLength > 16 * 1024)
  for (const { cid } of large) expect(await after.store.get(cid)).toBeUndefined()
  expect(after.rotten).toHaveLength(large.length)
  await using again = await openBlocks(home.path, { durability: 'relaxed' })
  for (const { cid, bytes } of blocks) expect(await again.store.get(cid)).toEqual(bytes)
})
