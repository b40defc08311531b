import type { Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { formatCount, formatTime } from '../format.ts'
import { printDetached, waitForResult } from '../job.ts'
import { tableText } from '../table.ts'

interface Marked {
  cid: string
  blocks: number
}

/** Rows asked for at a time; a page of the API holds no more. */
const PAGE_ROWS = 1_000

export async function makePrivate(
  context: CliContext,
  cid: string,
  options: { detach?: boolean },
): Promise<number> {
  return withClient(context, async (client) => {
    const job = await client.post('/api/v1/private', { body: { cid }, signal: context.signal })
    if (options.detach === true) {
      printDetached(context, job)
      return 0
    }
    const result = await waitForResult<Marked>(context, client, job)
    context.output.result(
      result,
      () => `${result.cid} is private, ${formatCount(result.blocks)} blocks; who has it already keeps it`,
    )
    return 0
  })
}

export async function makePublic(
  context: CliContext,
  cid: string,
  options: { detach?: boolean },
): Promise<number> {
  return withClient(context, async (client) => {
    const job = await client.delete('/api/v1/private/{cid}', {
      params: { path: { cid } },
      signal: context.signal,
    })
    if (options.detach === true) {
      printDetached(context, job)
      return 0
    }
    const result = await waitForResult<Marked>(context, client, job)
    context.output.result(result, () => `${result.cid} is public, ${formatCount(result.blocks)} blocks`)
    return 0
  })
}

/** All pages; the node bounds each. */
export async function list(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const roots: Schema<'PrivateList'>['roots'] = []
    let after: string | undefined
    for (;;) {
      const page: Schema<'PrivateList'> = await client.get('/api/v1/private', {
        params: { query: { limit: PAGE_ROWS, ...(after === undefined ? {} : { after }) } },
        signal: context.signal,
      })
      roots.push(...page.roots)
      after = page.roots.at(-1)?.cid
      if (page.roots.length < PAGE_ROWS) break
    }
    context.output.result({ roots }, () =>
      roots.length === 0
        ? 'nothing is private; add something with: p2pnode add PATH --private'
        : tableText(
            context.output,
            ['CID', 'SINCE'],
            roots.map((root) => [root.cid, formatTime(root.createdAtMs)]),
          ),
    )
    return 0
  })
}
