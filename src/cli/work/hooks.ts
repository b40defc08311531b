import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { formatTime, printable } from '../format.ts'
import { tableText } from '../table.ts'

export async function add(
  context: CliContext,
  topic: string,
  url: string,
  secret: string | undefined,
): Promise<number> {
  return withClient(context, async (client) => {
    const hook = await client.post('/api/v1/messages/hooks', {
      body: { topic, url, ...(secret === undefined ? {} : { secret }) },
      signal: context.signal,
    })
    context.output.result(hook, () => hook.secret)
    context.output.note(`hook ${hook.id}: what it sends is signed with this secret, which is shown this once`)
    return 0
  })
}

export async function list(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.get('/api/v1/messages/hooks', { signal: context.signal })
    context.output.result(answer, () =>
      answer.hooks.length === 0
        ? 'no hooks; make one with: p2pnode pubsub hook add TOPIC URL'
        : tableText(
            context.output,
            ['ID', 'TOPIC', 'URL', 'STATE', 'DELIVERED', 'WAIT', 'LOST', 'LAST'],
            answer.hooks.map((hook) => [
              String(hook.id),
              printable(hook.topic),
              printable(hook.url),
              hook.problem === null ? hook.state : `${hook.state}: ${printable(hook.problem)}`,
              String(hook.delivered),
              String(hook.queued),
              String(hook.dropped + hook.refused),
              hook.lastDeliveredMs === null ? 'never' : formatTime(hook.lastDeliveredMs),
            ]),
          ),
    )
    return 0
  })
}

export async function remove(context: CliContext, id: number): Promise<number> {
  return withClient(context, async (client) => {
    const hook = await client.delete('/api/v1/messages/hooks/{id}', {
      params: { path: { id } },
      signal: context.signal,
    })
    context.output.result(hook, () => `nothing is sent to ${printable(hook.url)} any more`)
    return 0
  })
}

export async function enable(context: CliContext, id: number): Promise<number> {
  return withClient(context, async (client) => {
    const hook = await client.post('/api/v1/messages/hooks/{id}/enable', {
      params: { path: { id } },
      signal: context.signal,
    })
    context.output.result(hook, () => `trying ${printable(hook.url)} again`)
    return 0
  })
}
