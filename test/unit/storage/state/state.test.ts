import { copyFile, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { type Migration, openState } from '../../../../src/storage/state/index.ts'
import { MIGRATIONS } from '../../../../src/storage/state/migrations.ts'
import { memoryLogger, temporaryFolder } from '../../../support/jobs.ts'

const log = memoryLogger()
const first = MIGRATIONS.slice(0, 1)

/** Version 2 as a later release might have it: a table filled from another in slices, one row each. */
function copySettings(failAt: { row: number | null }): Migration {
  return {
    version: 2,
    name: 'copy the settings',
    run(db) {
      db.exec('CREATE TABLE IF NOT EXISTS copy (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT')
      const row = db
        .prepare<[], { key: string; value: string }>(
          'SELECT key, value FROM setting WHERE key NOT IN (SELECT key FROM copy) ORDER BY key LIMIT 1',
        )
        .get()
      if (row === undefined) return
      db.prepare('INSERT INTO copy VALUES (?, ?)').run(row.key, row.value)
      if (Number(row.key) === failAt.row) throw new Error('the disk hiccuped')
      return 'more'
    },
  }
}

const rename: Migration = {
  version: 3,
  name: 'rename the copy',
  run: (db) => {
    db.exec('ALTER TABLE copy RENAME TO renamed')
  },
}

async function oldHome(folder: string): Promise<string> {
  const path = join(folder, 'state.db')
  const state = await openState({ path, log, migrations: first })
  const insert = state.db.prepare('INSERT INTO setting VALUES (?, ?)')
  await state.write(() => {
    for (let row = 0; row < 5; row++) insert.run(String(row), `value ${row}`)
  })
  await state.close()
  return path
}

test('a new database is private, closes to one file, and opens again', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'state.db')
  const state = await openState({ path, log })
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect((await stat(`${path}-wal`)).mode & 0o777).toBe(0o600)
  expect(state.db.pragma('foreign_keys', { simple: true })).toBe(1)
  expect(state.db.pragma('synchronous', { simple: true })).toBe(2)
  await state.write(() => state.db.prepare('INSERT INTO setting VALUES (?, ?)').run('a', 'b'))
  expect(state.db.pragma('synchronous', { simple: true })).toBe(2)
  await Promise.all([state.close(), state.close()])
  expect(await readdir(folder.path)).toEqual(['state.db'])
  await expect(state.write(() => 1)).rejects.toMatchObject({ code: 'ERR_STATE_CLOSED' })
  expect(() => state.writeRelaxed(() => 1)).toThrow(expect.objectContaining({ code: 'ERR_STATE_CLOSED' }))
  const again = await openState({ path, log })
  expect(again.db.prepare('SELECT * FROM setting').all()).toEqual([{ key: 'a', value: 'b' }])
  await again.close()
})

test('a transaction is whole or not at all', async () => {
  await using folder = await temporaryFolder()
  const state = await openState({ path: join(folder.path, 'state.db'), log })
  const insert = state.db.prepare('INSERT INTO setting VALUES (?, ?)')
  const failing = () => {
    insert.run('half', '')
    throw new Error('no')
  }
  await expect(state.write(failing)).rejects.toThrow('no')
  expect(() => state.writeRelaxed(failing)).toThrow('no')
  expect(state.db.prepare('SELECT * FROM setting').all()).toEqual([])
  const written = await Promise.all(
    Array.from({ length: 50 }, (_, n) => state.write(() => insert.run(String(n), '').changes)),
  )
  expect(written).toEqual(Array.from({ length: 50 }, () => 1))
  await state.close()
})

test('the log is folded in by a worker before it grows long', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'state.db')
  const state = await openState({ path, log })
  const insert = state.db.prepare('INSERT OR REPLACE INTO setting VALUES (?, ?)')
  const before = (await stat(path)).size
  for (let n = 0; n < 5; n++) state.writeRelaxed(() => insert.run(String(n), 'x'.repeat(1024 * 1024)))
  await expect
    .poll(async () => (await stat(path)).size, { timeout: 10_000 })
    .toBeGreaterThan(before + 1024 * 1024)
  await state.close()
  expect(log.lines).toEqual([])
})

test('an old database is backed up and brought forward; a step that fails is tried again from where it stood', async () => {
  await using folder = await temporaryFolder()
  const path = await oldHome(folder.path)
  const failAt: { row: number | null } = { row: 3 }
  const migrations = [...first, copySettings(failAt), rename]
  const failing = openState({ path, log, migrations })
  await expect(failing).rejects.toMatchObject({
    code: 'ERR_STATE_MIGRATION',
    message: expect.stringContaining('the disk hiccuped'),
    details: { version: 2, backup: `${path}.before-v2` },
  })
  await expect(openState({ path, log, migrations })).rejects.toMatchObject({ code: 'ERR_STATE_MIGRATION' })

  // What was done stays done, and the backup is still of what was there before anything was.
  const copied = (file: string, table: string) => {
    using db = disposable(new Database(file, { readonly: true }))
    return db.db.prepare(`SELECT count(*) FROM ${table}`).pluck().get()
  }
  expect(copied(path, 'copy')).toBe(3)
  expect(() => copied(`${path}.before-v2`, 'copy')).toThrow('no such table')
  expect(copied(`${path}.before-v2`, 'setting')).toBe(5)

  failAt.row = null
  const state = await openState({ path, log, migrations })
  expect(state.db.prepare('SELECT key FROM renamed ORDER BY key').pluck().all()).toEqual([
    '0',
    '1',
    '2',
    '3',
    '4',
  ])
  expect(state.db.pragma('user_version', { simple: true })).toBe(3)
  expect(state.db.prepare('SELECT version FROM migration WHERE ended_ms IS NOT NULL').pluck().all()).toEqual([
    1, 2, 3,
  ])
  await state.close()
  expect((await readdir(folder.path)).sort()).toEqual(['state.db', 'state.db.before-v2'])

  // The backup opens with the release that wrote it.
  const before = join(folder.path, 'before.db')
  await copyFile(`${path}.before-v2`, before)
  await (await openState({ path: before, log, migrations: first })).close()
})

test('only the last backups are kept', async () => {
  await using folder = await temporaryFolder()
  const path = await oldHome(folder.path)
  const migrations: Migration[] = [...first]
  for (let version = 2; version <= 12; version++) {
    migrations.push({ version, name: `step ${version}`, run: () => {} })
    await (await openState({ path, log, migrations: [...migrations] })).close()
  }
  expect((await readdir(folder.path)).sort()).toEqual([
    'state.db',
    'state.db.before-v10',
    'state.db.before-v11',
    'state.db.before-v12',
  ])
})

test('a database of a newer release is refused and left as it is', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'state.db')
  const known = MIGRATIONS.length
  const later = { version: known + 1, name: 'later', run: () => {} }
  await (await openState({ path, log, migrations: [...MIGRATIONS, later] })).close()
  const before = await readFile(path)
  await expect(openState({ path, log })).rejects.toMatchObject({
    code: 'ERR_STATE_NEWER',
    details: { found: known + 1, known },
  })
  expect(await readFile(path)).toEqual(before)
})

test.each([
  ['text', async (path: string) => writeFile(path, 'this is not a database, it is a diary'.repeat(200))],
  ['a database cut short', async (path: string) => truncate(path, 8_192)],
  ['a database of another program', async (path: string) => foreign(path)],
])('%s is refused and left as it is', async (_, damage) => {
  await using folder = await temporaryFolder()
  const path = await oldHome(folder.path)
  await damage(path)
  const before = await readFile(path)
  const opening = openState({ path, log, migrations: [...first, copySettings({ row: null })] })
  await expect(opening).rejects.toMatchObject({
    code: 'ERR_STATE_CORRUPT',
    message: expect.stringMatching(/state\.db.*p2pnode restore FILE/),
  })
  expect(await readFile(path)).toEqual(before)
})

test('what is damaged inside is not migrated', async () => {
  await using folder = await temporaryFolder()
  const path = await oldHome(folder.path)
  const bytes = await readFile(path)
  // The page of the table's rows, past its header: the tree below it no longer adds up.
  const page = bytes.indexOf('value 3')
  bytes.fill(0xff, page - 200, page + 20)
  await writeFile(path, bytes)
  const opening = openState({ path, log, migrations: [...first, copySettings({ row: null })] })
  await expect(opening).rejects.toMatchObject({ code: 'ERR_STATE_CORRUPT' })
  expect(await readFile(path)).toEqual(bytes)
  expect(await readdir(folder.path)).toEqual(['state.db'])
})

test('an empty file, as a crash at the very first start leaves it, becomes a database', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'state.db')
  await writeFile(path, '')
  const state = await openState({ path, log })
  expect(state.db.pragma('user_version', { simple: true })).toBe(MIGRATIONS.length)
  await state.close()
})

function foreign(path: string): void {
  using db = disposable(new Database(path))
  db.db.pragma('application_id = 42')
}

function disposable(db: Database.Database): { db: Database.Database } & Disposable {
  return { db, [Symbol.dispose]: () => void db.close() }
}
