import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { formatBytes, formatDuration, formatTime } from '../format.ts'
import { tableText } from '../table.ts'

type Rule = Schema<'PolicyRule'>

export interface PolicyOptions {
  minScore?: number
  budget?: number
  peer?: string
  window?: number
  copies?: number
  cid?: string
}

/** Options that a kind takes; those with true it needs. */
const TAKES: Readonly<Record<Rule['kind'], Partial<Record<keyof PolicyOptions, boolean>>>> = {
  auto: { minScore: true, budget: true, peer: false },
  recent: { window: true, budget: true },
  copies: { copies: true, minScore: true, cid: false },
}

export async function list(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const report = await client.get('/api/v1/pin-policies', { signal: context.signal })
    context.output.result(report, () =>
      report.policies.length === 0
        ? 'there are no pin policies; p2pnode pin policy add --help shows which there can be'
        : tableText(
            context.output,
            ['ID', 'RULE', 'KEEPS', 'STATE'],
            report.policies.map((policy) => [
              String(policy.id),
              ruleText(policy.rule),
              String(policy.items),
              stateText(policy),
            ]),
          ),
    )
    return 0
  })
}

export async function add(context: CliContext, kind: string, options: PolicyOptions): Promise<number> {
  const rule = ruleOf(kind, options)
  return withClient(context, async (client) => {
    const policy = await client.post('/api/v1/pin-policies', { body: rule, signal: context.signal })
    context.output.result(policy, () => `pin policy ${policy.id}: ${ruleText(policy.rule)}`)
    return 0
  })
}

export async function remove(context: CliContext, id: number): Promise<number> {
  return withClient(context, async (client) => {
    const policy = await client.delete('/api/v1/pin-policies/{id}', {
      params: { path: { id } },
      signal: context.signal,
    })
    context.output.result(policy, () => `ended pin policy ${policy.id}: ${ruleText(policy.rule)}`)
    return 0
  })
}

export async function copies(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const report = await client.get('/api/v1/copies', { signal: context.signal })
    context.output.result(report, () =>
      report.copies.length === 0
        ? 'no other node has promised to keep a copy; ask for some with: p2pnode pin policy add copies'
        : tableText(
            context.output,
            ['CID', 'PEER', 'PROVEN', 'UNTIL'],
            report.copies.map(({ cid, peer, provenMs, untilMs }) => [
              cid,
              peer,
              provenMs === null ? 'not yet' : formatTime(provenMs),
              formatTime(untilMs),
            ]),
          ),
    )
    return 0
  })
}

/** @throws ERR_POLICY_INVALID for another kind, an option that the kind does not take, or lacks */
function ruleOf(kind: string, options: PolicyOptions): Rule {
  const takes = Object.hasOwn(TAKES, kind) ? TAKES[kind as Rule['kind']] : undefined
  if (takes === undefined)
    throw invalid(`there is no kind ${JSON.stringify(kind)}; there are auto, recent and copies`)
  for (const name of Object.keys(options))
    if (!(name in takes)) throw invalid(`${kind} takes no --${flag(name)}`)
  for (const [name, isNeeded] of Object.entries(takes))
    if (isNeeded && options[name as keyof PolicyOptions] === undefined)
      throw invalid(`${kind} needs --${flag(name)}`)
  const { minScore = 0, budget = 0, window = 0, copies = 0, peer, cid } = options
  switch (kind as Rule['kind']) {
    case 'auto':
      return { kind: 'auto', minScore, budgetBytes: budget, ...(peer === undefined ? {} : { peer }) }
    case 'recent':
      return { kind: 'recent', windowMs: window, budgetBytes: budget }
    case 'copies':
      return { kind: 'copies', copies, minScore, ...(cid === undefined ? {} : { cid }) }
  }
}

function flag(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function invalid(message: string): P2pnodeError {
  return new P2pnodeError('ERR_POLICY_INVALID', 'usage', message)
}

function ruleText(rule: Rule): string {
  switch (rule.kind) {
    case 'auto':
      return `what ${rule.peer ?? `peers of a score from ${rule.minScore}`} announce${rule.peer === undefined ? '' : 's'}, up to ${formatBytes(rule.budgetBytes)}`
    case 'recent':
      return `what was read within ${formatDuration(rule.windowMs)}, up to ${formatBytes(rule.budgetBytes)}`
    case 'copies':
      return `${rule.copies} copies of ${rule.cid ?? 'what is pinned'} at nodes of a score from ${rule.minScore}`
  }
}

function stateText({
  rule,
  usedBytes,
  short = 0,
  promised = 0,
}: Schema<'PolicyList'>['policies'][number]): string {
  if (rule.kind !== 'copies') return formatBytes(usedBytes)
  return short === 0 ? `${promised} copies` : `${promised} copies, ${short} without enough of them`
}
