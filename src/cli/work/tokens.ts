import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { formatTime } from '../format.ts'
import { tableText } from '../table.ts'

export async function create(
  context: CliContext,
  name: string,
  scope: 'read' | 'write' | 'admin',
): Promise<number> {
  return withClient(context, async (client) => {
    const token = await client.post('/api/v1/tokens', { body: { name, scope }, signal: context.signal })
    context.output.result(token, () => token.token)
    context.output.note(`token ${token.id} (${token.scope}) is shown this once`)
    return 0
  })
}

export async function list(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.get('/api/v1/tokens', { signal: context.signal })
    context.output.result(answer, () =>
      answer.tokens.length === 0
        ? 'no tokens but the one in api.token'
        : tableText(
            context.output,
            ['ID', 'NAME', 'SCOPE', 'CREATED', 'LAST USED'],
            answer.tokens.map((token) => [
              token.id,
              token.name,
              token.scope,
              formatTime(token.createdAtMs),
              token.lastUsedAtMs === null ? 'never' : formatTime(token.lastUsedAtMs),
            ]),
          ),
    )
    return 0
  })
}

export async function revoke(context: CliContext, id: string): Promise<number> {
  return withClient(context, async (client) => {
    await client.delete('/api/v1/tokens/{id}', { params: { path: { id } }, signal: context.signal })
    context.output.result({ revoked: id }, () => `revoked ${id}`)
    return 0
  })
}
