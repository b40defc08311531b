import type { InputPair } from 'interface-blockstore'
import all from 'it-all'
import { concat } from 'uint8arrays/concat'
import { expect, test } from 'vitest'
import { openBlocks, temporaryHome, testBlock } from '../../../support/storage-blocks.ts'

test('the store behind the interface that Helia knows', async () => {
  await using home = await temporaryHome()
  await using opened = await openBlocks(home.path)
  const blockstore = opened.store.asBlockstore()
  const blocks = Array.from({ length: 300 }, (_, index) => testBlock(index, index % 7 === 0 ? 20_000 : 200))
  const [first, ...rest] = blocks as [(typeof blocks)[0], ...typeof blocks]

  expect(await blockstore.put(first.cid, first.bytes)).toBe(first.cid)
  expect(await blockstore.has(first.cid)).toBe(true)
  expect(concat(await all(blockstore.get(first.cid)))).toEqual(first.bytes)

  const added = await all(blockstore.putMany(rest))
  expect(added.map(String)).toEqual(rest.map(({ cid }) => cid.toString()))

  const many: string[] = []
  for await (const { cid, bytes } of blockstore.getMany(blocks.map(({ cid }) => cid))) {
    expect(concat(await all(bytes))).toEqual(blocks[many.length]?.bytes)
    many.push(cid.toString())
  }
  expect(many).toHaveLength(blocks.length)

  const everything: string[] = []
  for await (const { cid, bytes } of blockstore.getAll()) {
    everything.push(cid.toString())
    await all(bytes)
  }
  expect(everything.sort()).toEqual(blocks.map(({ cid }) => cid.toString()).sort())
})

test('bytes may come in parts', async () => {
  await using home = await temporaryHome()
  await using opened = await openBlocks(home.path)
  const blockstore = opened.store.asBlockstore()
  const { cid, bytes } = testBlock('parts', 50_000)
  await blockstore.put(cid, [bytes.subarray(0, 1), bytes.subarray(1, 30_000), bytes.subarray(30_000)])
  expect(concat(await all(blockstore.get(cid)))).toEqual(bytes)
  const endless = (function* () {
    for (;;) yield new Uint8Array(65_536)
  })()
  await expect(blockstore.put(testBlock('endless', 1).cid, endless)).rejects.toMatchObject({
    code: 'ERR_BLOCK_TOO_LARGE',
  })
})

test('what is not held is a NotFoundError, and nothing is deleted', async () => {
  await using home = await temporaryHome()
  await using opened = await openBlocks(home.path)
  const blockstore = opened.store.asBlockstore()
  const { cid, bytes } = testBlock('absent', 50)
  await expect(all(blockstore.get(cid))).rejects.toMatchObject({
    name: 'NotFoundError',
    code: 'ERR_NOT_FOUND',
  })
  await blockstore.put(cid, bytes)
  await expect(blockstore.delete(cid)).rejects.toMatchObject({ code: 'ERR_DELETE_REFUSED' })
  await expect(all(blockstore.deleteMany([cid]))).rejects.toMatchObject({ code: 'ERR_DELETE_REFUSED' })
  expect(await blockstore.has(cid)).toBe(true)
})

test('putMany ends with the first failure and leaves no put behind', async () => {
  await using home = await temporaryHome()
  await using opened = await openBlocks(home.path)
  const good = Array.from({ length: 5 }, (_, index) => testBlock(index, 100))
  const wrong: InputPair = { cid: testBlock('a', 10).cid, bytes: testBlock('b', 10).bytes }
  await expect(all(opened.store.asBlockstore().putMany([...good, wrong]))).rejects.toMatchObject({
    code: 'ERR_BLOCK_INVALID',
  })
  expect(opened.store.usage().blocks).toBe(5)
})
