import { setImmediate as turn } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { blocksLayout } from '../../../../src/storage/blocks/layout.ts'
import { openBlocks, temporaryHome, testBlock } from '../../../support/storage-blocks.ts'

const LIMIT_MS = 50
const ROWS = 100_000

/** The longest that one turn of the event loop computed while `work` ran: processor time, so that other processes do not count. */
async function longestTurnMs(work: () => Promise<void>): Promise<number> {
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

test('opening, asking and putting do not hold the event loop, however many blocks there are', async () => {
  await using home = await temporaryHome()
  await (await openBlocks(home.path)).store.close()
  const db = new Database(blocksLayout(home.path).databasePath)
  // Left in the log, as after a kill: the writer thread has to recover it.
  db.pragma('wal_autocheckpoint = 0')
  db.exec(`
    WITH RECURSIVE row (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM row WHERE n < ${ROWS})
    INSERT INTO block (mh, size, place, touched) SELECT randomblob(34), 64, 0, 1 FROM row;
    INSERT INTO block_data (id, data) SELECT id, randomblob(64) FROM block;
    UPDATE meta SET value = 1 WHERE key = 'unclean';
  `)
  const blocks = Array.from({ length: 2_000 }, (_, index) => testBlock(index, 1_000))
  const cids = blocks.map(({ cid }) => cid)

  const longestMs = await longestTurnMs(async () => {
    await using opened = await openBlocks(home.path)
    await opened.store.hasMany(cids)
    await Promise.all(blocks.map(({ cid, bytes }) => opened.store.put(cid, bytes, { verified: true })))
    const lease = await opened.store.lease('all of them')
    await lease.touch(cids)
    let readBytes = 0
    for await (const { bytes } of opened.store.asBlockstore().getMany(cids)) {
      for await (const part of bytes) readBytes += part.byteLength
    }
    expect(readBytes).toBe(2_000 * 1_000)
    await opened.store.swept
  })
  db.close()
  expect(longestMs).toBeLessThan(LIMIT_MS)
})
