import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { loadRootToken } from '../../../src/api/root-token.ts'
import { memoryLogger, temporaryFolder } from '../../support/jobs.ts'

it('creates a token that only its owner reads, and keeps it', async () => {
  await using folder = await temporaryFolder()
  const log = memoryLogger()
  const first = await loadRootToken(folder.path, log)
  expect(first).toMatch(/^[\w-]{43}$/)
  expect((await stat(join(folder.path, 'api.token'))).mode & 0o777).toBe(0o600)
  expect(await loadRootToken(folder.path, log)).toBe(first)
  expect(await readdir(folder.path)).toEqual(['api.token'])
  expect(log.lines).toEqual([])
})

it('replaces a token that others could read, and says so', async () => {
  await using folder = await temporaryFolder()
  const log = memoryLogger()
  const path = join(folder.path, 'api.token')
  const first = await loadRootToken(folder.path, log)
  await chmod(path, 0o644)
  const second = await loadRootToken(folder.path, log)
  expect(second).not.toBe(first)
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect((await readFile(path, 'utf8')).trim()).toBe(second)
  expect(JSON.stringify(log.lines)).toContain('could be read by others')
  expect(JSON.stringify(log.lines)).not.toContain(second)
})

it.each(['', 'short', 'white space in the middle of it', 'x'.repeat(600)])(
  'refuses the file content %j',
  async (text) => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'api.token'), text, { mode: 0o600 })
    await expect(loadRootToken(folder.path, memoryLogger())).rejects.toMatchObject({ code: 'ERR_TOKEN_FILE' })
  },
)

it('takes a token that the operator chose', async () => {
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'api.token'), 'a-token-of-my-own==\n', { mode: 0o600 })
  expect(await loadRootToken(folder.path, memoryLogger())).toBe('a-token-of-my-own==')
})
