import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { Client, Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { formatBytes, formatCount, formatTime, printable } from '../format.ts'
import { printDetached, waitForResult } from '../job.ts'
import { linkOf, ownLink, type PrivateAddress } from '../private-address.ts'
import { tableText } from '../table.ts'
import { stopNode } from './node.ts'

interface RmResult {
  name: string
  version: number
  confirmed: number
  pending: number
}

interface PruneReport {
  held: { expired: number; tombstoned: number; orphaned: number; bytes: number }
  owned: { abandonedSlabs: number; bytes: number }
  dryRun: boolean
}

interface LeaveReport {
  columns: number
  bytes: number
  handedOver: number
  stuck: number
}

/** Starts a job, and shows what came of it unless nobody waits. */
async function runJob<T>(
  context: CliContext,
  client: Client,
  job: Schema<'JobRecord'>,
  detach: boolean,
  text: (result: T) => string,
): Promise<T | undefined> {
  if (detach) {
    printDetached(context, job)
    return undefined
  }
  const result = await waitForResult<T>(context, client, job)
  context.output.result(result, () => text(result))
  return result
}

export async function remove(context: CliContext, target: string, detach: boolean): Promise<number> {
  return withClient(context, async (client) => {
    const { signal } = context
    const link = await ownLink(context, client, target)
    const job = await client.post('/api/v1/vault/rm', { body: { link }, signal })
    await runJob<RmResult>(context, client, job, detach, ({ name, version, confirmed, pending }) => {
      const rest =
        pending === 0
          ? ''
          : `; ${formatCount(pending)} are with holders that are away and learn of it when they come back`
      return `deleted ${printable(name)} (version ${version}): ${formatCount(confirmed)} columns confirmed${rest}`
    })
    return 0
  })
}

export async function share(
  context: CliContext,
  target: string,
  options: { verifyOnly?: boolean; owner?: boolean },
): Promise<number> {
  if (options.verifyOnly === true && options.owner === true)
    throw new P2pnodeError('ERR_USAGE', 'usage', 'choose one of --verify-only and --owner')
  const power = options.owner === true ? 'owner' : options.verifyOnly === true ? 'verify' : 'read'
  return withClient(context, async (client) => {
    const link = await ownLink(context, client, target)
    const { text } = await client.post('/api/v1/vault/share', {
      body: { link, power },
      signal: context.signal,
    })
    context.output.result(power === 'owner' ? { state: text } : { link: text, power }, () => text)
    context.output.note(
      {
        read: 'whoever has it can read the file',
        verify: 'whoever has it can check and repair the file, but not read it',
        owner: 'whoever has it can read, renew and delete the file: p2pnode state import takes it',
      }[power],
    )
    return 0
  })
}

export async function health(context: CliContext, target: string, fresh: boolean): Promise<number> {
  return withClient(context, async (client) => {
    const link = await ownLink(context, client, target)
    const report = await client.post('/api/v1/vault/health', {
      body: { link, fresh },
      signal: context.signal,
    })
    const { output } = context
    output.result(report, () =>
      [
        `${report.state}: ${formatCount(report.slabs.length)} slabs`,
        tableText(
          output,
          ['SLAB', 'LIVE', 'NEEDED', 'MAY BE LOST', 'LAST AUDIT'],
          report.slabs.map((slab) => [
            slab.id.slice(0, 16),
            `${slab.live} of ${slab.n}`,
            slab.k,
            Math.max(0, slab.margin),
            slab.lastAudit === null ? 'never' : formatTime(Date.parse(slab.lastAudit)),
          ]),
        ),
      ].join('\n'),
    )
    return 0
  })
}

export async function repair(context: CliContext, target: string, detach: boolean): Promise<number> {
  return withClient(context, async (client) => {
    const { signal } = context
    const link = await ownLink(context, client, target)
    const job = await client.post('/api/v1/vault/repair', { body: { link }, signal })
    await runJob<{ slabs: number; repaired: number; missing: number }>(
      context,
      client,
      job,
      detach,
      ({ slabs, repaired, missing }) =>
        `looked at ${formatCount(slabs)} slabs, made ${formatCount(repaired)} columns again${missing === 0 ? '' : `; ${formatCount(missing)} are still missing: too few holders`}`,
    )
    return 0
  })
}

export async function prune(
  context: CliContext,
  options: { dryRun?: boolean; detach?: boolean },
): Promise<number> {
  return withClient(context, async (client) => {
    const body = { dryRun: options.dryRun === true }
    const job = await client.post('/api/v1/vault/prune', { body, signal: context.signal })
    await runJob<PruneReport>(context, client, job, options.detach === true, ({ held, owned, dryRun }) => {
      const verb = dryRun ? 'would remove' : 'removed'
      return [
        `held for others: ${verb} ${formatCount(held.expired)} expired, ${formatCount(held.tombstoned)} deleted and ${formatCount(held.orphaned)} orphaned columns (${formatBytes(held.bytes)})`,
        `own: ${verb} ${formatCount(owned.abandonedSlabs)} abandoned slabs (${formatBytes(owned.bytes)})`,
      ].join('\n')
    })
    return 0
  })
}

/** Hands over what this node holds for others, then stops it. */
export async function leave(
  context: CliContext,
  options: { force?: boolean; detach?: boolean },
): Promise<number> {
  return withClient(context, async (client) => {
    const body = { force: options.force === true }
    const job = await client.post('/api/v1/vault/leave', { body, signal: context.signal })
    if (options.detach === true) {
      printDetached(context, job)
      return 0
    }
    const result = await waitForResult<LeaveReport>(context, client, job)
    await stopNode(context, client)
    const { columns, handedOver, bytes, stuck } = result
    context.output.result(
      { ...result, stopped: true },
      () =>
        `handed over ${formatCount(handedOver)} of ${formatCount(columns)} columns (${formatBytes(bytes)})${stuck === 0 ? '' : `, ${formatCount(stuck)} found no taker`}; stopped`,
    )
    return 0
  })
}

/** Entries of a folder of a private tree; lines appear as they arrive. */
export async function listPrivate(context: CliContext, address: PrivateAddress): Promise<number> {
  return withClient(context, async (client) => {
    const { output, signal } = context
    const entries: Schema<'VaultEntry'>[] = []
    for await (const entry of client.vaultEntries({ body: await linkOf(context, client, address), signal })) {
      if (output.json) {
        entries.push(entry)
        continue
      }
      output.line(entry, () => {
        const letter = { file: '-', directory: 'd', symlink: 'l' }[entry.type]
        const mode = entry.mode === null ? letter : `${letter}${entry.mode.toString(8).padStart(4, '0')}`
        const size = entry.type === 'file' ? formatBytes(entry.size) : ''
        const target = entry.target === null ? '' : ` -> ${printable(entry.target)}`
        return `${mode.padEnd(5)}  ${size.padStart(10)}  ${printable(entry.path.split('/').at(-1) ?? '')}${target}`
      })
    }
    if (output.json) output.result({ entries }, () => '')
    return 0
  })
}

/** The owner's objects; none where the node has no vault. */
export async function objectsOf(context: CliContext, client: Client): Promise<Schema<'VaultObject'>[]> {
  try {
    const { objects } = await client.get('/api/v1/vault/objects', { signal: context.signal })
    return objects
  } catch (error) {
    if (error instanceof P2pnodeError && error.code === 'ERR_VAULT_ABSENT') return []
    throw error
  }
}

export function objectsText(
  context: CliContext,
  objects: Schema<'VaultObject'>[],
  showLinks: boolean,
): string {
  return tableText(
    context.output,
    [
      'NAME',
      'VERSION',
      'SIZE',
      'REDUNDANCY',
      'HEALTH',
      'MEASURED',
      'EXPIRES',
      ...(showLinks ? ['LINK'] : []),
    ],
    objects.map((object) => [
      object.name,
      object.version,
      formatBytes(object.size),
      object.redundancy,
      healthText(object),
      object.healthAtMs === null ? 'never' : formatTime(object.healthAtMs),
      object.expiresAtMs === 0 ? '' : formatTime(object.expiresAtMs),
      ...(showLinks ? [object.link ?? 'hidden from this token'] : []),
    ]),
  )
}

/** What was measured comes before what was only noted at the put. */
function healthText({ state, health }: Schema<'VaultObject'>): string {
  if (state === 'putting' || state === 'deleting') return state
  return state === 'degraded' && health === 'unknown' ? state : health
}
