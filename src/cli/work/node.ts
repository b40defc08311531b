import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { type Client, NO_DAEMON_CODE, readApiFile, type Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { formatBytes, formatCount, formatDuration, printable } from '../format.ts'
import { factsText } from '../table.ts'

/** A stop may take 10 s by contract; then somebody should look at it. */
const STOP_PATIENCE_MS = 20_000
const STOP_POLL_MS = 50
/** How long the process may take to end after its API did; a start right after must find the data folder free. */
const EXIT_PATIENCE_MS = 10_000

/** Asks the node to stop and waits until it answers no more and, where it runs on this machine, its process has ended. */
export async function stop(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    await stopNode(context, client)
    context.output.result({ stopped: true }, () => 'stopped')
    return 0
  })
}

export async function stopNode(context: CliContext, client: Client): Promise<void> {
  const pid = context.api === undefined ? readApiFile(context.home)?.pid : undefined
  await client.post('/api/v1/stop', { signal: context.signal })
  await until(context, STOP_PATIENCE_MS, async () => !(await answers(context, client)), 'still answers')
  if (pid !== undefined)
    await until(context, EXIT_PATIENCE_MS, async () => !isRunning(pid), `(process ${pid}) has not ended`)
}

async function until(
  context: CliContext,
  patienceMs: number,
  reached: () => Promise<boolean>,
  otherwise: string,
): Promise<void> {
  const deadlineMs = performance.now() + patienceMs
  while (!(await reached())) {
    if (performance.now() > deadlineMs) {
      throw new P2pnodeError(
        'ERR_STOP_TIMEOUT',
        'timeout',
        `the node ${otherwise} after ${patienceMs / 1_000} s; see its log`,
      )
    }
    await sleep(STOP_POLL_MS, undefined, { signal: context.signal })
  }
}

async function answers(context: CliContext, client: Client): Promise<boolean> {
  try {
    await client.get('/health/live', {
      signal: AbortSignal.any([context.signal, AbortSignal.timeout(2_000)]),
    })
    return true
  } catch (error) {
    return !(
      error instanceof P2pnodeError &&
      (error.code === NO_DAEMON_CODE || error.code === 'ERR_CONNECTION_LOST')
    )
  }
}

/**
 * Whether a process runs, as far as this one can tell. One of another user or container counts as ended, and so does one that
 * ended but was not yet asked for its exit code: it has let go of everything.
 */
function isRunning(pid: number): boolean {
  // Process 1 is the machine's own, or a container's that this command is not in.
  if (pid <= 1) return false
  try {
    process.kill(pid, 0)
    if (process.platform !== 'linux') return true
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

function jobsText(counts: Record<string, number>): string {
  const parts = Object.entries(counts).filter(([, count]) => count > 0)
  return parts.length === 0 ? 'none' : parts.map(([state, count]) => `${count} ${state}`).join(', ')
}

function vaultFacts(vault: Schema<'StatusReport'>['vault']): [string, string][] {
  if (vault === null) return []
  const held = `${formatBytes(vault.heldBytes)} of ${formatBytes(vault.offeredBytes)} in ${formatCount(vault.heldColumns)} columns`
  const { health } = vault
  const unwell = (['lost', 'critical', 'degraded', 'unknown'] as const).filter((state) => health[state] > 0)
  const measured = unwell.map((state) => `, ${formatCount(health[state])} ${state}`).join('')
  const degraded = vault.degradedSlabs === 0 ? '' : `, ${formatCount(vault.degradedSlabs)} slabs incomplete`
  return [
    ['held for others', held],
    ['private files', `${formatCount(vault.objects)}${measured}${degraded}`],
  ]
}

function hookFacts(hooks: Schema<'StatusReport'>['hooks']): [string, string][] {
  if (hooks === null || hooks.total === 0) return []
  const failing = hooks.failing === 0 ? '' : `, ${formatCount(hooks.failing)} failing`
  const disabled =
    hooks.disabled === 0 ? '' : `, ${formatCount(hooks.disabled)} disabled (p2pnode pubsub hook ls)`
  return [['hooks', `${formatCount(hooks.total)}${failing}${disabled}`]]
}

const REACH_TEXTS = {
  unknown: 'nobody has said yet at which address this node is seen',
  direct: 'directly',
  'behind-nat': 'not directly: it is behind a NAT',
} as const

function reachText(network: Schema<'StatusReport'>['network']): string {
  const parts: string[] = [REACH_TEXTS[network.reachability], `DHT ${network.dht}`]
  if (network.relays.length > 0) parts.push(`through ${network.relays.length} relays`)
  if (network.relayed > 0) parts.push(`${formatCount(network.relayed)} peers connected through relays`)
  if (network.upgraded > 0) parts.push(`${formatCount(network.upgraded)} of them directly since`)
  if (network.relayedFor !== null) parts.push(`relay for ${formatCount(network.relayedFor)} others`)
  return parts.join(', ')
}

/** What `/health/ready` answers with 200. */
const SERVING = new Set(['ready', 'degraded'])
const EXIT_NOT_READY = 1

export async function status(context: CliContext, options: { ready?: boolean } = {}): Promise<number> {
  return withClient(context, async (client) => {
    const report = await client.get('/api/v1/status', { signal: context.signal })
    const { output } = context
    const { uptimeMs, storage, network } = report
    output.result({ ...report, uptime: Math.floor(uptimeMs / 1_000) }, () =>
      [
        factsText(output, [
          ['health', report.health],
          ['role', report.role],
          ...report.effect.map((effect): [string, string] => ['', effect]),
          ['peer', report.peerId],
          ['network', `${network.name} (${network.mode})`],
          ['reached', reachText(network)],
          ['uptime', formatDuration(uptimeMs)],
          ['peers', report.peers],
          [
            'storage',
            `${formatBytes(storage.usedBytes)} of ${formatBytes(storage.quotaBytes)}, ${formatCount(storage.blocks)} blocks, ${formatCount(storage.pins)} pins`,
          ],
          ...vaultFacts(report.vault),
          ['jobs', jobsText(report.jobs)],
          ...hookFacts(report.hooks),
          ['home', report.home],
          ['version', report.version],
        ]),
        ...[...report.problems, ...(report.vault?.problems ?? [])].map(
          (problem) => `problem: ${printable(problem)}`,
        ),
      ].join('\n'),
    )
    return options.ready === true && !SERVING.has(report.health) ? EXIT_NOT_READY : 0
  })
}

export async function id(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const report = await client.get('/api/v1/id', { signal: context.signal })
    context.output.result(report, () =>
      [
        factsText(context.output, [
          ['peer', report.peerId],
          ['did', report.did],
          ['agent', report.agent],
        ]),
        ...report.multiaddrs,
      ].join('\n'),
    )
    return 0
  })
}

function provideText(provide: NonNullable<Schema<'StatsReport'>['provide']>): string {
  const { records, debtRecords, debtOldestMs } = provide
  if (debtRecords === 0) return `${formatCount(records)}, none overdue`
  return `${formatCount(records)}, ${formatCount(debtRecords)} overdue, by ${formatDuration(debtOldestMs)} at most`
}

/** Blocks by the step of the discovery flow that brought them. */
function stepsText(steps: Schema<'StatsReport'>['steps']): string {
  return Object.entries(steps)
    .map(([name, { answered }]) => `${formatCount(answered)} ${name}`)
    .join(', ')
}

function gossipFacts({ gossip, reconcile }: Schema<'StatsReport'>): [string, string][] {
  const facts: [string, string][] = []
  if (gossip !== undefined) {
    const { accepted, ignored, rejected, published } = gossip
    const heard = `${formatCount(accepted)} heard, ${formatCount(ignored)} ignored, ${formatCount(rejected)} rejected`
    facts.push(['gossip', `${heard}, ${formatCount(published)} said`])
  }
  if (reconcile !== undefined) {
    const { begun, answered, taken, given } = reconcile
    const entries = `${formatCount(taken)} entries taken, ${formatCount(given)} given`
    facts.push(['sets compared', `${formatCount(begun + answered)} times; ${entries}`])
  }
  return facts
}

export async function stats(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const report = await client.get('/api/v1/stats', { signal: context.signal })
    const { content, process: own, provide } = report
    context.output.result(report, () =>
      factsText(context.output, [
        ['memory', formatBytes(own.rssBytes)],
        ['processor', formatDuration(own.cpuSeconds * 1_000)],
        ['event-loop delay p99', `${own.eventLoopDelayP99Ms.toFixed(1)} ms`],
        ['served', `${formatBytes(content.servedBytes)} in ${formatCount(content.servedBlocks)} blocks`],
        ['fetched', `${formatBytes(content.fetchedBytes)} in ${formatCount(content.fetchedBlocks)} blocks`],
        ['found', stepsText(report.steps)],
        ['streams', `${content.inboundStreams} in, ${content.outboundStreams} out`],
        ['peers', report.peers],
        ['storage', `${formatBytes(report.storage.usedBytes)} of ${formatBytes(report.storage.quotaBytes)}`],
        ['jobs', jobsText(report.jobs)],
        ...(provide === undefined
          ? []
          : [['provider records', provideText(provide)] satisfies [string, string]]),
        ...gossipFacts(report),
      ]),
    )
    return 0
  })
}
