import type { Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { formatBytes, printable } from '../format.ts'

export async function cat(
  context: CliContext,
  address: string,
  range: { offset?: number; length?: number },
): Promise<number> {
  return withClient(context, async (client) => {
    const download = await client.download('/api/v1/content/cat', {
      query: { address, ...range },
      signal: context.signal,
    })
    context.output.startBytes()
    for await (const chunk of download.body) await context.output.raw(chunk, context.signal)
    return 0
  })
}

function modeText(entry: Schema<'Entry'>): string {
  const letters = { file: '-', raw: '-', directory: 'd', symlink: 'l', other: '?' }
  return entry.mode === null
    ? letters[entry.type]
    : `${letters[entry.type]}${entry.mode.toString(8).padStart(4, '0')}`
}

/** Lines appear as entries arrive: a folder may have a million of them. With `--json` one line holds all. */
export async function ls(context: CliContext, address: string): Promise<number> {
  return withClient(context, async (client) => {
    const entries: Schema<'Entry'>[] = []
    for await (const entry of client.lines('/api/v1/content/ls', {
      query: { address },
      signal: context.signal,
    })) {
      if (context.output.json) {
        entries.push(entry)
        continue
      }
      context.output.line(entry, () => {
        const size = entry.size === null ? '' : formatBytes(entry.size)
        const target = entry.target === undefined ? '' : ` -> ${printable(entry.target)}`
        return `${modeText(entry).padEnd(5)}  ${size.padStart(10)}  ${entry.cid}  ${printable(entry.name)}${target}`
      })
    }
    if (context.output.json) context.output.result({ entries }, () => '')
    return 0
  })
}

export async function provide(context: CliContext, cid: string): Promise<number> {
  return withClient(context, async (client) => {
    await client.post('/api/v1/provide', { body: { cid }, signal: context.signal })
    context.output.result({ provided: cid }, () => `the network knows now that this node has ${cid}`)
    return 0
  })
}
