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

export async function recommend(
  context: CliContext,
  peer: string | undefined,
  withdraw: boolean,
): Promise<number> {
  if (peer === undefined) {
    if (withdraw) throw new P2pnodeError('ERR_USAGE', 'usage', 'say of whom to take it back')
    return listTold(context)
  }
  return withClient(context, async (client) => {
    const answer = await client.post('/api/v1/trust/peers/{peer}/recommendation', {
      params: { path: { peer } },
      body: { withdraw },
      signal: context.signal,
    })
    context.output.result(answer, () => {
      const whom = answer.recipients === 0 ? 'whoever asks' : `${answer.recipients} neighbours`
      return withdraw
        ? `taken back, told to ${whom}`
        : `told to ${whom}: ${answer.told.map(({ view, score }) => `${view} ${score.toFixed(3)}`).join(', ')}`
    })
    return 0
  })
}

async function listTold(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.get('/api/v1/trust/recommendations', { signal: context.signal })
    context.output.result(answer, () =>
      answer.told.length === 0
        ? 'nothing is told of anybody yet'
        : tableText(
            context.output,
            ['PEER', 'VIEW', 'SCORE', 'EVIDENCE', 'SINCE', 'NOTE'],
            answer.told.map(({ subject, view, score, evidence, atMs, isByHand }) => [
              subject,
              view,
              evidence === 0 ? '' : score.toFixed(3),
              String(evidence),
              formatTime(atMs),
              evidence === 0 ? 'taken back' : isByHand ? 'set by hand' : '',
            ]),
          ),
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

const MEMBERSHIP: Readonly<Record<NonNullable<Schema<'ExplainedPeer'>['membership']>, string>> = {
  owner: "the owner's node of this swarm",
  admin: 'an admin of this swarm',
  member: 'a member of this swarm',
  revoked: 'revoked from this swarm',
  none: 'not in this swarm',
}

function explained(context: CliContext, peer: Schema<'ExplainedPeer'>): string {
  const head = [
    peer.peer,
    `score ${peer.score.toFixed(3)} = the lesser of honesty ${peer.honesty.toFixed(3)} and its mean with reliability ${peer.reliability.toFixed(3)}`,
    `to keep something ${peer.storageScore.toFixed(3)}; known with a confidence of ${peer.confidence.toFixed(2)}`,
    noteOf(peer),
    peer.membership === null ? '' : MEMBERSHIP[peer.membership],
  ].filter((line) => line !== '')
  const terms = tableText(
    context.output,
    ['TERM', 'NOW', 'COUNTS FOR', 'HALF IS FORGOTTEN AFTER'],
    [
      ['baseline', peer.baseline.toFixed(3), 'all', ''],
      ...peer.terms.map((term) => [
        term.sum,
        signed(term.value),
        term.views.join(', '),
        formatDuration(term.halfLifeMs),
      ]),
      ...heardRow(peer, 'honesty'),
      ...heardRow(peer, 'reliability'),
    ],
  )
  const opinions = tableText(
    context.output,
    ['SAYS', 'OF ITS', 'SCORE', 'EVIDENCE', 'SINCE', 'ITSELF WORTH', 'WOULD COUNT'],
    peer.recommendations.map((opinion) => [
      opinion.by,
      opinion.view,
      opinion.evidence === 0 ? 'taken back' : opinion.score.toFixed(3),
      String(opinion.evidence),
      formatTime(opinion.atMs),
      opinion.recommender === 0 ? 'not heard' : opinion.recommender.toFixed(3),
      signed(opinion.worth),
    ]),
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
  return [
    ...head,
    terms,
    evidence,
    ...(peer.recommendations.length === 0 ? [] : [opinions]),
    ...(peer.decisions.length === 0 ? [] : [decisions]),
  ].join('\n')
}

/** What others say, where they say something. */
function heardRow(peer: Schema<'TrustedPeer'>, view: 'honesty' | 'reliability'): string[][] {
  const value = peer.heard[view]
  return value === 0 ? [] : [['what others say', signed(value), view, '']]
}

function signed(value: number): string {
  return `${value < 0 ? '' : '+'}${value.toFixed(3)}`
}
