import { lstat, readdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../../config/index.ts'
import type { ProvideStatistics } from '../content/provide/types.ts'
import type { HookReport, Hooks } from '../gossip/hooks/types.ts'
import type { Network } from '../network/types.ts'
import type { OpenStorage } from '../storage/open.ts'
import type { SwarmService } from '../swarm/types.ts'
import type { VaultService } from '../vault/types.ts'

export interface DoctorCheck {
  name: string
  state: 'ok' | 'warn' | 'fail'
  message: string
  fix?: string
}

export interface DoctorOptions {
  home: string
  config: Config
  storage: Pick<OpenStorage, 'blocks' | 'pins' | 'columns'>
  network: Network
  /** Figures of private files; undefined where there is no vault. */
  vault: Pick<VaultService, 'report'> | undefined
  /** What the DHT is told that this node has; undefined where that is not known. */
  provides?: ProvideStatistics
  /** The private network, where there is one. */
  swarm?: Pick<SwarmService, 'status'>
  /** Webhooks; undefined where there can be none. */
  hooks?: Pick<Hooks, 'list'>
  eventLoopDelayP99Ms: () => number
  signal: AbortSignal
}

/** Files of the home that only their owner may read: they hold keys. */
const PRIVATE_FILES = ['identity.key', 'owner.key', 'swarm-owner.key', 'swarm.key', 'api.token']
/** Below this much free disk a busy node may run out between two looks. */
const LOW_DISK_BYTES = 1024 ** 3
const NEARLY_FULL = 0.9
/** Leases are renewed when a third is over: one that has less than a third left was missed for as long again. */
const LEASE_ENDS_SOON = 1 / 3
/** DESIGN: nothing blocks the event loop longer; above it peers begin to drop. */
const MAX_EVENT_LOOP_DELAY_MS = 50
/** A clock before this was never set: certificates, leases and expiry would all be wrong. */
const EARLIEST_PLAUSIBLE_MS = Date.UTC(2026, 0, 1)

async function checkModes(home: string): Promise<DoctorCheck[]> {
  const loose: string[] = []
  for (const name of PRIVATE_FILES) {
    try {
      const stats = await lstat(join(home, name))
      if ((stats.mode & 0o077) !== 0) loose.push(name)
    } catch {
      // What is not there cannot be read by others.
    }
  }
  if (loose.length === 0)
    return [{ name: 'modes', state: 'ok', message: 'keys and tokens are readable by their owner alone' }]
  const paths = loose.map((name) => join(home, name)).join(' ')
  return [
    {
      name: 'modes',
      state: 'fail',
      message: `others can read ${loose.join(', ')}`,
      fix: `chmod 600 ${paths}`,
    },
  ]
}

async function checkDisk({ home, storage }: DoctorOptions): Promise<DoctorCheck[]> {
  const disk = await statfs(home)
  const freeBytes = disk.bavail * disk.bsize
  const { usedBytes, quotaBytes, quarantined } = storage.blocks.usage()
  const gib = (bytes: number): string => `${(bytes / 1024 ** 3).toFixed(1)} GiB`
  const checks: DoctorCheck[] = []
  if (freeBytes < LOW_DISK_BYTES) {
    checks.push({
      name: 'disk',
      state: 'fail',
      message: `only ${gib(freeBytes)} free below ${home}`,
      fix: 'free some space, or run p2pnode gc',
    })
  } else if (freeBytes < quotaBytes - usedBytes) {
    checks.push({
      name: 'disk',
      state: 'warn',
      message: `${gib(freeBytes)} free, but the quota lets the node take ${gib(quotaBytes - usedBytes)} more`,
      fix: `p2pnode config set storage.quota ${Math.max(1, Math.floor((usedBytes + freeBytes * NEARLY_FULL) / 1024 ** 3))}GiB`,
    })
  } else {
    checks.push({ name: 'disk', state: 'ok', message: `${gib(freeBytes)} free` })
  }
  checks.push(
    usedBytes > quotaBytes * NEARLY_FULL
      ? {
          name: 'quota',
          state: 'warn',
          message: `${gib(usedBytes)} of ${gib(quotaBytes)} used`,
          fix: 'run p2pnode gc, or raise storage.quota',
        }
      : { name: 'quota', state: 'ok', message: `${gib(usedBytes)} of ${gib(quotaBytes)} used` },
  )
  checks.push(
    quarantined > 0
      ? {
          name: 'rot',
          state: 'warn',
          message: `${quarantined} blocks are rotten and not healed`,
          fix: 'connect to peers that have them and run p2pnode scrub',
        }
      : { name: 'rot', state: 'ok', message: 'no block is known to be rotten' },
  )
  const { rottenColumns } = storage.columns.usage()
  if (rottenColumns > 0) {
    checks.push({
      name: 'columns',
      state: 'warn',
      message: `${rottenColumns} columns that are kept for others were found rotten; their holders make them again`,
      fix: 'look after the disk, and run p2pnode scrub',
    })
  }
  return checks
}

function checkNetwork({ network, config }: DoctorOptions): DoctorCheck[] {
  const addresses = network.addresses()
  const peers = network.peerCount()
  return [
    addresses.length === 0
      ? {
          name: 'listening',
          state: 'fail',
          message: 'the node listens nowhere',
          fix: 'set network.listen, or free the port that another program holds',
        }
      : { name: 'listening', state: 'ok', message: `listening on ${addresses.length} addresses` },
    peers === 0
      ? {
          name: 'peers',
          state: 'warn',
          message: 'connected to nobody',
          fix:
            config.network.bootstrap.length === 0
              ? 'p2pnode connect MULTIADDR, or set network.bootstrap'
              : 'check that the nodes of network.bootstrap run',
        }
      : { name: 'peers', state: 'ok', message: `connected to ${peers}` },
  ]
}

/** Private files: what runs out, what is missing, and what the vault itself complains of. */
export function checkVault(
  { vault, config }: Pick<DoctorOptions, 'vault' | 'config'>,
  nowMs: number,
): DoctorCheck[] {
  if (vault === undefined) return []
  const report = vault.report()
  const { leaseMs } = config.vault
  const leftMs = report.soonestExpiryMs === null ? undefined : report.soonestExpiryMs - nowMs
  const checks: DoctorCheck[] = []
  if (leftMs !== undefined && leftMs < leaseMs * LEASE_ENDS_SOON) {
    checks.push({
      name: 'leases',
      state: leftMs <= 0 ? 'fail' : 'warn',
      message:
        leftMs <= 0
          ? 'the lease of a private file has ended: its holders may drop it'
          : `a private file is kept for ${formatDuration(leftMs)} more, then its holders may drop it`,
      fix: 'keep this node running and connected: it renews leases by itself; p2pnode ls shows which end when',
    })
  } else {
    checks.push({ name: 'leases', state: 'ok', message: `${report.objects} private files, none ends soon` })
  }
  checks.push(checkHealth(report))
  checks.push(...report.problems.map((message) => ({ name: 'vault', state: 'warn' as const, message })))
  return checks
}

/** What was measured, and only that. */
function checkHealth({ health, degradedSlabs }: ReturnType<VaultService['report']>): DoctorCheck {
  const { healthy, degraded, critical, lost, unknown } = health
  const found = [
    lost > 0 ? `${lost} lost (too few pieces answer to read them)` : '',
    critical > 0 ? `${critical} critical` : '',
    degraded > 0 ? `${degraded} degraded` : '',
    degradedSlabs > 0 ? `${degradedSlabs} slabs without all of their columns` : '',
  ].filter((part) => part !== '')
  const measured = `${healthy} measured whole${unknown === 0 ? '' : `, ${unknown} not measured lately`}`
  if (found.length === 0) return { name: 'private files', state: 'ok', message: measured }
  return {
    name: 'private files',
    state: lost > 0 ? 'fail' : 'warn',
    message: `${found.join(', ')}; ${measured}`,
    fix: 'start the nodes that hold them, or connect more that lend storage, then p2pnode repair; p2pnode ls and health say which',
  }
}

/** `9 d`, `5 h`, `12 min`, in whole units. */
function formatDuration(durationMs: number): string {
  const minutes = Math.max(1, Math.floor(durationMs / 60_000))
  if (minutes < 120) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`
}

/** Others keep a record for 48 h: one that is overdue by the rest of that is gone, and its content is not found by it. */
const PROVIDER_VALIDITY_MS = 48 * 3_600_000
/** New records wait their turn; what is behind by more than this does not keep up. */
const PROVIDE_BEHIND_MS = 3_600_000

export function checkProvides({
  provides,
  config,
}: Pick<DoctorOptions, 'provides' | 'config'>): DoctorCheck[] {
  if (provides === undefined || provides.records === 0) return []
  const { records, debtRecords, debtOldestMs } = provides
  const name = 'provider records'
  if (debtOldestMs < PROVIDE_BEHIND_MS) {
    return [{ name, state: 'ok', message: `${records} in the DHT or on their way, none far behind` }]
  }
  const isGone = debtOldestMs > PROVIDER_VALIDITY_MS - config.content.provide.intervalMs
  return [
    {
      name,
      state: isGone ? 'fail' : 'warn',
      message: `${debtRecords} of ${records} are overdue, by ${formatDuration(debtOldestMs)} at most${isGone ? ': others have forgotten some of them' : ''}`,
      fix: 'connect to nodes of the DHT; where there are too many records, raise content.provide.concurrency and content.provide.rate, or set content.provide.strategy to roots',
    },
  ]
}

export function checkSwarm({ swarm }: Pick<DoctorOptions, 'swarm'>): DoctorCheck[] {
  const status = swarm?.status() ?? null
  if (status === null) return []
  const name = 'swarm'
  if (status.role === 'out') {
    return [
      {
        name,
        state: 'fail',
        message: `this node was put out of the swarm ${status.swarm} and talks to nobody`,
        fix: 'ask an admin for an invitation (p2pnode swarm join), or go back to the open network (p2pnode swarm leave)',
      },
    ]
  }
  if (status.invitations > 0 && status.door.length === 0) {
    return [
      {
        name,
        state: 'warn',
        message: `${status.invitations} invitations are open and the door is closed`,
        fix: 'its address may be in use: see the log, and swarm.listen',
      },
    ]
  }
  return [{ name, state: 'ok', message: `${status.role} of a swarm of ${status.members}` }]
}

export function checkHooks({ hooks }: Pick<DoctorOptions, 'hooks'>): DoctorCheck[] {
  const all = hooks?.list() ?? []
  if (all.length === 0) return []
  const name = 'hooks'
  const named = (state: HookReport['state']): string =>
    all
      .filter((hook) => hook.state === state)
      .map(({ id, topic, problem, queued }) => `${id} (${topic}: ${problem ?? 'no answer'}; ${queued} wait)`)
      .join(', ')
  const [disabled, failing] = [named('disabled'), named('failing')]
  if (disabled !== '') {
    return [
      {
        name,
        state: 'warn',
        message: `took nothing for too long and are disabled: ${disabled}`,
        fix: 'look after what listens there, then p2pnode pubsub hook enable ID, or p2pnode pubsub hook rm ID',
      },
    ]
  }
  if (failing !== '')
    return [
      { name, state: 'warn', message: `take nothing now: ${failing}`, fix: 'look after what listens there' },
    ]
  return [{ name, state: 'ok', message: `${all.length} hooks take what comes` }]
}

function checkClock(): DoctorCheck {
  return Date.now() < EARLIEST_PLAUSIBLE_MS
    ? {
        name: 'clock',
        state: 'fail',
        message: `the clock says ${new Date().toISOString()}`,
        fix: 'set the clock, and let it be kept by NTP',
      }
    : { name: 'clock', state: 'ok', message: new Date().toISOString() }
}

async function checkLeftovers(home: string): Promise<DoctorCheck> {
  const names = (await readdir(home)).filter((name) => name.startsWith('state.db.before-'))
  return names.length > 3
    ? {
        name: 'leftovers',
        state: 'warn',
        message: `${names.length} old copies of state.db`,
        fix: `remove those that are no longer needed from ${home}`,
      }
    : { name: 'leftovers', state: 'ok', message: 'no stale files' }
}

/** Looks at everything that commonly goes wrong with a running node and says what to do about it. */
export async function runDoctor(options: DoctorOptions): Promise<{ checks: DoctorCheck[] }> {
  options.signal.throwIfAborted()
  const delayMs = options.eventLoopDelayP99Ms()
  return {
    checks: [
      { name: 'node', state: 'ok', message: `Node.js ${process.versions.node}` },
      checkClock(),
      ...(await checkModes(options.home)),
      ...(await checkDisk(options)),
      ...checkNetwork(options),
      ...checkVault(options, Date.now()),
      ...checkProvides(options),
      ...checkSwarm(options),
      ...checkHooks(options),
      delayMs > MAX_EVENT_LOOP_DELAY_MS
        ? {
            name: 'event loop',
            state: 'warn',
            message: `delayed by ${delayMs.toFixed(0)} ms (p99)`,
            fix: 'the machine is overloaded, or a bug blocks the node: see the log',
          }
        : { name: 'event loop', state: 'ok', message: `delayed by ${delayMs.toFixed(0)} ms (p99)` },
      await checkLeftovers(options.home),
    ],
  }
}
