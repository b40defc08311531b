import { existsSync } from 'node:fs'
import { readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setImmediate as yieldToLoop } from 'node:timers/promises'
import type { Database } from 'better-sqlite3'
import type { Logger } from '../../telemetry/types.ts'
import { migrationFailed, stateCorrupt, stateNewer } from './errors.ts'
import { syncFolder } from './fsync.ts'
import type { Migration } from './migrations.ts'
import { toSingleFile } from './single-file.ts'

/** `PRAGMA application_id` of state.db: "p2ps" in ASCII, so that another program's database is not taken for ours. */
const APPLICATION_ID = 0x70327073

/** One per release that changed the schema; a state.db is small, but not so small that copies may pile up. */
const KEPT_BACKUPS = 3

/**
 * Brings a database to the version of the last migration.
 *
 * Each step is one or more transactions; `user_version` is raised in the last of them, so a failure or a crash leaves
 * the database at a whole version (or, in a sliced step, at a whole slice), and the next call goes on from there. A
 * database that holds anything is copied first to `<path>.before-v<version>`.
 *
 * @throws ERR_STATE_NEWER, ERR_STATE_CORRUPT, ERR_STATE_MIGRATION
 */
export async function migrate(
  db: Database,
  path: string,
  migrations: readonly Migration[],
  log: Logger,
): Promise<void> {
  const known = migrations.at(-1)?.version ?? 0
  const found = db.pragma('user_version', { simple: true }) as number
  checkOrigin(db, path, found)
  if (found > known) throw stateNewer(path, found, known)
  if (found === known) return

  let backup: string | null = null
  if (found > 0) {
    checkIntegrity(db, path)
    backup = await backUpBefore(db, path, found + 1)
    log.info({ path, from: found, to: known, backup }, 'bringing the state database to a newer version')
  }
  db.exec(`
    CREATE TABLE IF NOT EXISTS migration (
      version    INTEGER PRIMARY KEY,
      name       TEXT NOT NULL,
      started_ms INTEGER NOT NULL,
      ended_ms   INTEGER
    ) STRICT`)
  for (const migration of migrations) {
    if (migration.version <= found) continue
    try {
      await runStep(db, migration)
    } catch (error) {
      throw migrationFailed(path, migration.version, migration.name, backup, error)
    }
  }
}

async function runStep(db: Database, migration: Migration): Promise<void> {
  const { version, name } = migration
  db.prepare('INSERT INTO migration (version, name, started_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING').run(
    version,
    name,
    Date.now(),
  )
  const slice = db.transaction((): boolean => {
    if (migration.run(db) === 'more') return false
    db.prepare('UPDATE migration SET ended_ms = ? WHERE version = ?').run(Date.now(), version)
    db.pragma(`application_id = ${APPLICATION_ID}`)
    db.pragma(`user_version = ${version}`)
    return true
  })
  while (!slice.immediate()) await yieldToLoop()
}

function checkOrigin(db: Database, path: string, version: number): void {
  const application = db.pragma('application_id', { simple: true }) as number
  const tables = db
    .prepare<[], { n: number }>(`SELECT count(*) AS n FROM sqlite_schema WHERE name <> 'migration'`)
    .get()
  const foreign =
    version === 0 ? (tables?.n ?? 0) > 0 && !hasTable(db, 'migration') : application !== APPLICATION_ID
  if (foreign) throw stateCorrupt(path, 'it is the database of another program')
}

/** Never migrate what is damaged: the copy made before would be just as damaged, and the step could hide it. */
function checkIntegrity(db: Database, path: string): void {
  const report = db.pragma('quick_check(1)', { simple: true })
  if (report !== 'ok') throw stateCorrupt(path, String(report))
}

/** Copies the database, under a temporary name first; a copy whose migration has not ended yet is the one to keep. */
async function backUpBefore(db: Database, path: string, version: number): Promise<string> {
  const target = `${path}.before-v${version}`
  if (existsSync(target) && isUnderWay(db, version)) return target
  const temporary = `${target}.tmp`
  await rm(temporary, { force: true })
  await db.backup(temporary)
  toSingleFile(temporary)
  await rename(temporary, target)
  await syncFolder(dirname(path))
  await removeOldBackups(path, target)
  return target
}

function isUnderWay(db: Database, version: number): boolean {
  if (!hasTable(db, 'migration')) return false
  return (
    db.prepare('SELECT 1 FROM migration WHERE version = ? AND ended_ms IS NULL').get(version) !== undefined
  )
}

function hasTable(db: Database, name: string): boolean {
  return db.prepare(`SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?`).get(name) !== undefined
}

async function removeOldBackups(path: string, newest: string): Promise<void> {
  const folder = dirname(path)
  const prefix = `${basename(path)}.before-v`
  const others = (await readdir(folder))
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .filter((name) => join(folder, name) !== newest)
    .sort((a, b) => Number(b.slice(prefix.length)) - Number(a.slice(prefix.length)))
  for (const name of others.slice(KEPT_BACKUPS - 1)) await rm(join(folder, name), { force: true })
}
