/**
 * The data folder's lock, the database of everything but blocks, and backup of the whole folder.
 *
 * @example
 * const lock = acquireHomeLock(home)
 * const state = await openState({ path: join(home, 'state.db'), log })
 * await state.write(() => state.db.prepare('INSERT INTO setting VALUES (?, ?)').run('a', '1'))
 * await state.close()
 * lock.release()
 */
export { acquireHomeLock, type HomeLock } from './lock.ts'
export type { Migration } from './migrations.ts'
export { type OpenStateOptions, openState } from './state.ts'
export type { StateDatabase, StateDatastore } from './types.ts'
export { type BackupOptions, type BackupResult, backupHome } from './backup.ts'
export { type RestoreOptions, type RestoreResult, restoreHome } from './restore.ts'
