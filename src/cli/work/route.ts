import type { Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { formatBytes, formatDuration } from '../format.ts'
import { factsText, tableText } from '../table.ts'

type Route = Schema<'RouteReport'>

/** Every source of a CID with the terms of its score, a column each. */
export async function route(context: CliContext, cid: string, { size }: { size?: number }): Promise<number> {
  return withClient(context, async (client) => {
    const report = await client.get('/api/v1/route', {
      params: { query: { cid, ...(size === undefined ? {} : { size }) } },
      signal: context.signal,
    })
    context.output.result(report, () => {
      const { facts, preference, count, sources, steps } = report
      const known = factsText(context.output, [
        ['private', facts.isPrivate ? 'yes: no public source is asked' : 'no'],
        ['size', facts.sizeBytes === null ? 'not known' : formatBytes(facts.sizeBytes)],
        ['first seen', facts.ageMs === null ? 'not known' : `${formatDuration(facts.ageMs)} ago`],
        ['rather from', { p2p: 'peers of this network', ipfs: 'IPFS', none: 'wherever' }[preference]],
        ['sources', `at most ${count} at first`],
        ['after peers', steps.length === 0 ? 'nobody' : steps.join(', ')],
      ])
      if (sources.length === 0) return `${known}\n\nnobody could be asked`
      const names = sources[0]?.terms.map(({ name }) => name) ?? []
      const table = tableText(
        context.output,
        ['SCORE', 'KIND', ...names.slice(1).map((name) => name.toUpperCase()), 'SOURCE'],
        sources.map((source) => [source.score.toFixed(1), ...source.terms.map(cell), source.id]),
      )
      return `${known}\n\n${table}`
    })
    return 0
  })
}

/** What a term adds, and what it was computed from. */
function cell({ value, points }: Route['sources'][number]['terms'][number]): string {
  const sign = points > 0 ? '+' : ''
  return `${sign}${Math.round(points * 10) / 10} (${value})`
}

export async function providers(context: CliContext, cid: string): Promise<number> {
  return withClient(context, async (client) => {
    const found: Schema<'Provider'>[] = []
    for await (const provider of client.lines('/api/v1/providers', {
      query: { cid },
      signal: context.signal,
    }))
      found.push(provider)
    context.output.result({ providers: found }, () =>
      found.length === 0
        ? 'nobody is known to have it'
        : tableText(
            context.output,
            ['PEER', 'KNOWN BY', 'SAYS', 'SCORE', 'SUCCESS', 'LATENCY', 'BANDWIDTH', 'BYTES'],
            found.map(row),
          ),
    )
    return 0
  })
}

function row(provider: Schema<'Provider'>): (string | number)[] {
  const { successes, failures, latencyMs, bytesPerSecond } = provider
  const tries = successes + failures
  return [
    provider.peer,
    provider.kind,
    provider.claim,
    provider.score.toFixed(1),
    tries === 0 ? '' : `${Math.round((100 * successes) / tries)} %`,
    latencyMs === null ? '' : `${Math.round(latencyMs)} ms`,
    bytesPerSecond === null ? '' : `${formatBytes(bytesPerSecond)}/s`,
    formatBytes(provider.bytes),
  ]
}
