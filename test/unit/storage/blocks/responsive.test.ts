import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { blocksLayout } from '../../../../src/storage/blocks/layout.ts'
import { longestTurnMs, openBlocks, temporaryHome, testBlock } from '../../../support/storage-blocks.ts'

const LIMIT_MS = 50
const ROWS = 100_000

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
