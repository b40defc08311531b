import type { Client, Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { printDetached, waitForResult } from '../job.ts'
import { formatTime, printable } from '../format.ts'
import { tableText } from '../table.ts'

type Kind = 'recursive' | 'direct'

/** Rows asked for at a time; a page of the API holds no more. */
const PAGE_ROWS = 1_000

export async function add(
  context: CliContext,
  address: string,
  options: { name?: string; kind?: Kind; detach?: boolean },
): Promise<number> {
  return withClient(context, async (client) => {
    const { detach, ...pin } = options
    const job = await client.post('/api/v1/pins', { body: { address, ...pin }, signal: context.signal })
    if (detach === true) {
      printDetached(context, job)
      return 0
    }
    const result = await waitForResult<{ cid: string }>(context, client, job)
    context.output.result(result, () => `pinned ${result.cid}`)
    return 0
  })
}

export async function remove(
  context: CliContext,
  cid: string,
  options: { name?: string; kind?: Kind },
): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.delete('/api/v1/pins/{cid}', {
      params: { path: { cid }, query: options },
      signal: context.signal,
    })
    context.output.result(answer, () =>
      answer.removed
        .map((pin) => `unpinned ${pin.cid}${pin.name === '' ? '' : ` (${printable(pin.name)})`}`)
        .join('\n'),
    )
    return 0
  })
}

/** All pages; the node bounds each. */
export async function pinsOf(
  context: CliContext,
  client: Client,
  filter: { cid?: string; name?: string; kind?: Kind },
): Promise<Schema<'PinRecord'>[]> {
  const pins: Schema<'PinRecord'>[] = []
  let afterId: number | null = 0
  while (afterId !== null) {
    const page: Schema<'PinList'> = await client.get('/api/v1/pins', {
      params: { query: { ...filter, limit: PAGE_ROWS, ...(afterId === 0 ? {} : { afterId }) } },
      signal: context.signal,
    })
    pins.push(...page.pins)
    afterId = page.nextAfterId
  }
  return pins
}

export async function list(
  context: CliContext,
  filter: { cid?: string; name?: string; kind?: Kind },
): Promise<number> {
  return withClient(context, async (client) => {
    const pins = await pinsOf(context, client, filter)
    context.output.result({ pins }, () =>
      pins.length === 0 ? 'nothing is pinned; add something with: p2pnode add PATH' : pinsText(context, pins),
    )
    return 0
  })
}

export function pinsText(context: CliContext, pins: Schema<'PinRecord'>[]): string {
  return tableText(
    context.output,
    ['CID', 'KIND', 'SINCE', 'NAME'],
    pins.map((pin) => [
      pin.cid,
      pin.state === 'pinned' ? pin.kind : `${pin.kind} (${pin.state})`,
      formatTime(pin.createdAtMs),
      pin.name,
    ]),
  )
}
