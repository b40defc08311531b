import { expect, test } from 'vitest'
import type { RemovedBlock } from '../../../../src/storage/blocks/internal.ts'
import { openBlocks, type OpenedBlocks, temporaryHome, testBlock } from '../../../support/storage-blocks.ts'

function sinceOf(opened: OpenedBlocks, id: string): number | undefined {
  return opened.store.reader.prepare<[string], number>('SELECT since FROM lease WHERE id = ?').pluck().get(id)
}

function touchedOf(opened: OpenedBlocks, block: ReturnType<typeof testBlock>): number {
  return opened.store.reader
    .prepare<[Uint8Array], number>('SELECT touched FROM block WHERE mh = ?')
    .pluck()
    .get(block.cid.multihash.bytes) as number
}

test('what is put under a lease is marked later than the lease began', async () => {
  await using home = await temporaryHome()
  await using opened = await openBlocks(home.path)
  const [old, fresh] = [testBlock('old', 100), testBlock('fresh', 30_000)]
  await opened.store.put(old.cid, old.bytes)
  const lease = await opened.store.lease('a')
  const since = sinceOf(opened, 'a') as number
  expect(touchedOf(opened, old)).toBeLessThan(since)
  await opened.store.put(fresh.cid, fresh.bytes)
  expect(touchedOf(opened, fresh)).toBeGreaterThanOrEqual(since)
  // Held already: put again it is marked anew.
  await opened.store.put(old.cid, old.bytes)
  expect(touchedOf(opened, old)).toBeGreaterThanOrEqual(since)
  // And then not another time.
  const before = opened.writer.figures.sequence
  await opened.store.put(old.cid, old.bytes)
  expect(opened.writer.figures.sequence).toBe(before)
  await lease.release()
  expect(sinceOf(opened, 'a')).toBeUndefined()
})

test('a later lease has blocks marked again that an earlier one keeps', async () => {
  await using home = await temporaryHome()
  await using opened = await openBlocks(home.path)
  const block = testBlock('x', 100)
  await opened.store.lease('first')
  await opened.store.put(block.cid, block.bytes)
  await opened.store.lease('second')
  await opened.store.put(block.cid, block.bytes)
  // Otherwise it could be collected once the first lease ends.
  expect(touchedOf(opened, block)).toBeGreaterThanOrEqual(sinceOf(opened, 'second') as number)
})

test('touch marks what is held and passes over the rest', async () => {
  await using home = await temporaryHome()
  await using opened = await openBlocks(home.path)
  const blocks = Array.from({ length: 1_100 }, (_, index) => testBlock(index, 20))
  await Promise.all(blocks.map(({ cid, bytes }) => opened.store.put(cid, bytes)))
  const lease = await opened.store.lease('t')
  await lease.touch([...blocks.map(({ cid }) => cid), testBlock('not held', 20).cid])
  const since = sinceOf(opened, 't') as number
  for (const block of blocks) expect(touchedOf(opened, block)).toBeGreaterThanOrEqual(since)
})

test('a lease outlives the process and is taken up again by its id; one for this run only ends', async () => {
  await using home = await temporaryHome()
  let since: number | undefined
  {
    await using opened = await openBlocks(home.path)
    await opened.store.lease('job 1')
    await opened.store.lease('of this run', { endsWithProcess: true })
    since = sinceOf(opened, 'job 1')
  }
  await using opened = await openBlocks(home.path)
  expect(sinceOf(opened, 'job 1')).toBe(since)
  expect(sinceOf(opened, 'of this run')).toBeUndefined()
  const block = testBlock('y', 50)
  await opened.store.put(block.cid, block.bytes)
  const lease = await opened.store.lease('job 1')
  expect(sinceOf(opened, 'job 1')).toBe(since)
  await lease.release()
  expect(sinceOf(opened, 'job 1')).toBeUndefined()
})

test('a put that finds its block collected before it was marked writes it again', async () => {
  await using home = await temporaryHome()
  await using opened = await openBlocks(home.path)
  const block = testBlock('collected', 40_000)
  await opened.store.put(block.cid, block.bytes)
  await opened.store.lease('l')
  // The rows go while the put has seen them: both calls reach the writer in this order.
  const horizon = await opened.writer.call<number>('maintenance.horizon', {})
  const collecting = opened.writer.call<{ removed: RemovedBlock[] }>('maintenance.collect', { horizon })
  const putting = opened.store.put(block.cid, block.bytes)
  const { removed } = await collecting
  expect(removed).toHaveLength(1)
  await Promise.all([opened.store.discard(removed), putting])
  expect(await opened.store.get(block.cid)).toEqual(block.bytes)
  expect(opened.store.usage().blocks).toBe(1)
})
