import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { EXIT_CODE_OF_KIND, type Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { formatDuration, formatTime } from '../format.ts'
import { tableText } from '../table.ts'

export async function list(
  context: CliContext,
  options: { limit?: number; after?: string },
): Promise<number> {
  return withClient(context, async (client) => {
    const { limit, after } = options
    const answer = await client.get('/api/v1/trust/peers', {
      params: {
        query: {
          ...(limit === undefined ? {} : { limit }),
          ...(after === undefined ? {} : { afterPeer: after }),
        },
      },
      signal: context.signal,
    })
    context.output.result(answer, () => {
      if (answer.peers.length === 0) return 'nothing is known of anybody yet: everybody is a newcomer'
      const table = tableText(
        context.output,
        ['PEER', 'SCORE', 'STORAGE', 'HONESTY', 'RELIABILITY', 'CONFIDENCE', 'NOTE'],
        answer.peers.map((peer) => [
          peer.peer,
          peer.score.toFixed(3),
          peer.storageScore.toFixed(3),
          peer.honesty.toFixed(3),
          peer.reliability.toFixed(3),
          peer.confidence.toFixed(2),
          noteOf(peer),
        ]),
      )
      return answer.nextAfterPeer === null
        ? table
        : `${table}\nmore: p2pnode trust ls --after ${answer.nextAfterPeer}`
    })
    return 0
  })
}

export async function show(context: CliContext, peer: string): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.get('/api/v1/trust/peers/{peer}', {
      params: { path: { peer } },
      signal: context.signal,
    })
    context.output.result(answer, () => explained(context, answer))
    return 0
  })
}

export async function set(
  context: CliContext,
  peer: string,
  score: number | undefined,
  clear: boolean,
): Promise<number> {
  if ((score === undefined) !== clear)
    throw new P2pnodeError('ERR_USAGE', 'usage', 'give either a score or --clear')
  return withClient(context, async (client) => {
    const answer = await client.post('/api/v1/trust/peers/{peer}', {
      params: { path: { peer } },
      body: { score: score ?? null },
      signal: context.signal,
    })
    context.output.result(answer, () =>
      score === undefined
        ? `${answer.peer} is scored by what it does again: ${answer.score.toFixed(3)}`
        : `${answer.peer} is worth ${answer.score.toFixed(3)}, whatever it does; undo with: p2pnode trust set ${answer.peer} --clear`,
    )
    return 0
  })
}

export async function audit(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.get('/api/v1/trust/audit', { signal: context.signal })
    context.output.result(answer, () => {
      const { verified, unsealed, head, firstBroken } = answer
      if (firstBroken !== null) return `broken at entry ${firstBroken.id}: ${firstBroken.reason}`
      return `${verified} entries are as they were sealed, ${unsealed} are not sealed yet; head ${head.id} ${head.hash}`
    })
    return answer.ok ? 0 : EXIT_CODE_OF_KIND.verification
  })
}

function noteOf(peer: Schema<'TrustedPeer'>): string {
  const notes: string[] = []
  if (peer.listed !== null) notes.push(peer.listed)
  if (peer.override !== null) notes.push('set by hand')
  if (peer.bannedUntilMs !== null) notes.push(`banned until ${formatTime(peer.bannedUntilMs)}`)
  return notes.join(', ')
}

function explained(context: CliContext, peer: Schema<'TrustedPeer'>): string {
  const head = [
    peer.peer,
    `score ${peer.score.toFixed(3)} = the lesser of honesty ${peer.honesty.toFixed(3)} and its mean with reliability ${peer.reliability.toFixed(3)}`,
    `to keep something ${peer.storageScore.toFixed(3)}; known with a confidence of ${peer.confidence.toFixed(2)}`,
    noteOf(peer),
  ].filter((line) => line !== '')
  const terms = tableText(
    context.output,
    ['TERM', 'NOW', 'COUNTS FOR', 'HALF IS FORGOTTEN AFTER'],
    [
      ['baseline', peer.baseline.toFixed(3), 'all', ''],
      ...peer.terms.map((term) => [
        term.sum,
        `${term.value < 0 ? '' : '+'}${term.value.toFixed(3)}`,
        term.views.join(', '),
        formatDuration(term.halfLifeMs),
      ]),
    ],
  )
  const evidence =
    peer.totals.length === 0
      ? 'nothing was ever reported'
      : tableText(
          context.output,
          ['EVIDENCE', 'TIMES', 'LAST'],
          peer.totals.map((total) => [total.kind, String(total.count), formatTime(total.lastMs)]),
        )
  const decisions = tableText(
    context.output,
    ['MAY', 'BY ITS', 'WHICH IS', 'AT LEAST', ''],
    peer.decisions.map((decision) => [
      decision.action,
      decision.measure,
      decision.value.toFixed(3),
      decision.threshold.toFixed(3),
      decision.allowed ? 'yes' : 'no',
    ]),
  )
  return [...head, terms, evidence, ...(peer.decisions.length === 0 ? [] : [decisions])].join('\n')
}
