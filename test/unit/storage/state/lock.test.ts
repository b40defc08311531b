import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { acquireHomeLock } from '../../../../src/storage/state/index.ts'
import { temporaryFolder } from '../../../support/jobs.ts'
import { startChild } from '../../../support/state-processes.ts'

test('one process holds two nodes apart, and a released folder is free', async () => {
  await using folder = await temporaryFolder()
  const home = join(folder.path, 'not', 'there', 'yet')
  const lock = acquireHomeLock(home)
  expect((await stat(home)).mode & 0o777).toBe(0o700)
  expect((await stat(join(home, 'lock'))).mode & 0o777).toBe(0o600)
  expect(() => acquireHomeLock(home)).toThrow(
    expect.objectContaining({
      code: 'ERR_HOME_LOCKED',
      kind: 'conflict',
      message: expect.stringContaining(home),
    }),
  )
  expect(() => acquireHomeLock(join(home, '..', 'yet'))).toThrow(
    expect.objectContaining({ code: 'ERR_HOME_LOCKED' }),
  )
  const other = acquireHomeLock(join(folder.path, 'other'))
  lock.release()
  lock.release()
  acquireHomeLock(home).release()
  other.release()
  expect(await readdir(home)).toEqual(['lock'])
})

test('a second process is refused; after kill -9 of the first nothing is in the way', async () => {
  await using folder = await temporaryFolder()
  {
    await using child = startChild('lock', folder.path)
    await child.line(/locked/)
    expect(() => acquireHomeLock(folder.path)).toThrow(expect.objectContaining({ code: 'ERR_HOME_LOCKED' }))
    await child.kill()
  }
  expect(await readdir(folder.path)).toEqual(['lock'])
  acquireHomeLock(folder.path).release()
})

test('a lock that cannot be made says why, and a file in its place is left as it is', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'file')
  await writeFile(file, 'precious')
  expect(() => acquireHomeLock(file)).toThrow(expect.objectContaining({ code: 'ERR_HOME_UNUSABLE' }))
  await writeFile(join(folder.path, 'lock'), 'precious words that are no database at all'.repeat(30))
  expect(() => acquireHomeLock(folder.path)).toThrow(expect.objectContaining({ code: 'ERR_HOME_UNUSABLE' }))
  expect(await readFile(file, 'utf8')).toBe('precious')
  expect(await readFile(join(folder.path, 'lock'), 'utf8')).toContain('precious words')
})

test.skipIf(process.getuid?.() === 0)('a folder without permission is refused', async () => {
  await using folder = await temporaryFolder()
  await chmod(folder.path, 0o500)
  expect(() => acquireHomeLock(folder.path)).toThrow(expect.objectContaining({ code: 'ERR_HOME_UNUSABLE' }))
})
