import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { answerOf, ApiError, STATUS_OF_KIND } from '../../../src/api/errors.ts'
import { ErrorReply } from '../../../src/api/schemas/common.ts'
import { EXIT_CODE_OF_KIND, exitCodeOf } from '../../../src/client/index.ts'

it('statuses and exit codes are those that the table of kinds promises', async () => {
  const source = await readFile(new URL('../../../protocols/shared/errors.ts', import.meta.url), 'utf8')
  const rows = [...source.matchAll(/\| `([a-z-]+)` \| (\d) \| (\d{3}) \|/g)]
  const promised = rows.map(([, kind, exit, status]) => [kind, Number(exit), Number(status)])
  const kept = Object.entries(STATUS_OF_KIND).map(([kind, status]) => [
    kind,
    EXIT_CODE_OF_KIND[kind as keyof typeof EXIT_CODE_OF_KIND],
    status,
  ])
  expect(kept).toEqual(promised)
  expect(ErrorReply.properties.error.properties.kind.enum).toEqual(promised.map(([kind]) => kind))
})

it('a failure of the daemon without a name tells nothing from inside', () => {
  const answer = answerOf(new TypeError('secret path /home/me'))
  expect(answer.status).toBe(500)
  expect(JSON.stringify(answer)).not.toContain('secret')
  expect(answer.body.error.code).toBe('ERR_INTERNAL')
})

it('errors keep their code, kind and details; some have a status of their own', () => {
  const quota = answerOf(new P2pnodeError('ERR_QUOTA', 'no-space', 'full', { details: { missing: 1 } }))
  expect(quota).toMatchObject({
    status: 507,
    body: { error: { code: 'ERR_QUOTA', details: { missing: 1 } } },
  })
  expect(answerOf(new ApiError('ERR_X', 'usage', 'x', { status: 405 })).status).toBe(405)
})

it('no daemon has an exit code of its own', () => {
  expect(exitCodeOf({ code: 'ERR_NO_DAEMON', kind: 'unavailable' })).toBe(3)
  expect(exitCodeOf({ code: 'ERR_X', kind: 'unavailable' })).toBe(1)
  expect(exitCodeOf({ code: 'ERR_X', kind: 'constructor' })).toBe(1)
})
