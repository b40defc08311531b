import { join } from 'node:path'
import { expect, it } from 'vitest'
import { MAX_TOKENS } from '../../../src/api/limits.ts'
import { Tokens } from '../../../src/api/tokens.ts'
import { openState } from '../../../src/storage/state/index.ts'
import { memoryLogger, temporaryFolder } from '../../support/jobs.ts'

const rootToken = 'the root token of this test'

async function house(folder: string) {
  const log = memoryLogger()
  const state = await openState({ path: join(folder, 'state.db'), log })
  return {
    state,
    tokens: new Tokens({ state, rootToken, log }),
    [Symbol.asyncDispose]: () => state.close(),
  }
}

it('refuses a revoked token at once, and for good once the disk has taken it', async () => {
  await using folder = await temporaryFolder()
  let token: string
  {
    await using first = await house(folder.path)
    const { state, tokens } = first
    const created = await tokens.create('t', 'write')
    token = created.token
    expect(tokens.authenticate(token)).toBe('write')
    state.db.exec(
      `CREATE TRIGGER full BEFORE DELETE ON token BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`,
    )
    await expect(tokens.revoke(created.id)).rejects.toThrow()
    expect(tokens.authenticate(token)).toBeUndefined()
    // A second try fails as long as the disk does, and says so.
    await expect(tokens.revoke(created.id)).rejects.toThrow()
    expect(tokens.list()).toHaveLength(1)
    state.db.exec('DROP TRIGGER full')
    expect(await Promise.all([tokens.revoke(created.id), tokens.revoke(created.id)])).toEqual([true, true])
    expect(await tokens.revoke(created.id)).toBe(false)
    expect(tokens.list()).toEqual([])
    expect(tokens.authenticate(rootToken)).toBe('admin')
  }
  await using again = await house(folder.path)
  expect(again.tokens.authenticate(token)).toBeUndefined()
})

it('has no more tokens than are read at the next start, however many are created at once', async () => {
  await using folder = await temporaryFolder()
  const texts: string[] = []
  {
    await using first = await house(folder.path)
    const { state, tokens } = first
    for (let count = 1; count < MAX_TOKENS; count++) texts.push((await tokens.create('t', 'read')).token)
    const results = await Promise.allSettled([tokens.create('t', 'read'), tokens.create('t', 'read')])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(results[1]).toMatchObject({ reason: { code: 'ERR_TOO_MANY_TOKENS' } })
    if (results[0].status === 'fulfilled') texts.push(results[0].value.token)

    // One that could not be written gives its place back.
    await tokens.revoke(tokens.list()[0]!.id)
    texts.shift()
    state.db.exec(`CREATE TRIGGER full BEFORE INSERT ON token BEGIN SELECT RAISE(ABORT, 'full'); END`)
    await expect(tokens.create('t', 'read')).rejects.not.toMatchObject({ code: 'ERR_TOO_MANY_TOKENS' })
    state.db.exec('DROP TRIGGER full')
    texts.push((await tokens.create('t', 'read')).token)
  }
  await using again = await house(folder.path)
  expect(texts).toHaveLength(MAX_TOKENS)
  for (const text of texts) expect(again.tokens.authenticate(text)).toBe('read')
})
