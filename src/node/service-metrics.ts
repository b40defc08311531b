import type { Bitswap } from '../../protocols/bitswap/index.ts'
import type { Content } from '../../protocols/content/types.ts'
import type { CatalogService } from '../catalog/types.ts'
import type { Announcements } from '../content/announce/index.ts'
import type { CacheStatistics } from '../content/cache/types.ts'
import type { PinPolicies } from '../content/policy/types.ts'
import type { ProvideStatistics } from '../content/provide/types.ts'
import type { StepFigures } from '../content/flow/types.ts'
import type { ContentService } from '../content/types.ts'
import type { Convergence } from '../gossip/convergence/index.ts'
import type { Gossip } from '../gossip/index.ts'
import type { Hooks } from '../gossip/hooks/types.ts'
import type { AppMessages } from '../gossip/messages/types.ts'
import type { Jobs } from '../jobs/index.ts'
import type { BandwidthLimiter } from '../network/index.ts'
import type { OpenStorage } from '../storage/open.ts'
import type { SwarmService } from '../swarm/types.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { TrustService } from '../trust/index.ts'
import type { Recommendations } from '../trust/recommend/index.ts'
import type { Vault } from '../vault/index.ts'

export interface MeasuredServices {
  metrics: Pick<Metrics, 'observed'>
  storage: Pick<OpenStorage, 'blocks' | 'pins' | 'columns'>
  jobs: Pick<Jobs, 'counts'>
  content: Pick<Content, 'statistics'>
  bitswap: Pick<Bitswap, 'statistics'>
  discovery: Pick<ContentService, 'steps'>
  trust: Pick<TrustService, 'denials' | 'droppedEvidence'>
  gossip: Pick<Gossip, 'statistics'>
  convergence: Pick<Convergence, 'statistics'>
  vault: Pick<Vault, 'statistics'>
  bandwidth: Pick<BandwidthLimiter, 'statistics' | 'waiting'>
  provides: () => ProvideStatistics
  cache: () => CacheStatistics | undefined
  policies: Pick<PinPolicies, 'statistics'>
  messages: Pick<AppMessages, 'statistics'>
  hooks: Pick<Hooks, 'statistics'>
  recommendations: Pick<Recommendations, 'statistics'>
  announcements: Pick<Announcements, 'statistics'>
  catalog: Pick<CatalogService, 'statistics'>
  swarm: Pick<SwarmService, 'status'>
  /** Whether the node would be called ready. */
  isServing: () => boolean
}

/**
 * What the services count by themselves, as figures for Prometheus: asked when they are read, so that nothing is counted
 * twice. Labels are actions, reasons and states, all of our own making.
 */
export function observeServices(services: MeasuredServices): void {
  const { metrics, storage, jobs, content, trust, gossip, vault, isServing } = services
  const gauge = (name: string, help: string, read: () => number): void =>
    metrics.observed('gauge', { name: `p2pnode_${name}`, help }, () => [{ value: read() }])

  gauge('swarm_members', 'Members of the private network; 0 where this node is in none.', () => {
    return services.swarm.status()?.members ?? 0
  })
  gauge('swarm_invitations', 'Open invitations of this node.', () => {
    return services.swarm.status()?.invitations ?? 0
  })
  gauge('ready', '1 where /health/ready answers 200.', () => Number(isServing()))
  gauge('storage_used_bytes', 'Bytes that count towards the quota.', () => storage.blocks.usage().usedBytes)
  gauge('storage_quota_bytes', 'The quota.', () => storage.blocks.usage().quotaBytes)
  gauge('storage_blocks', 'Blocks that are held.', () => storage.blocks.usage().blocks)
  gauge('storage_quarantined_blocks', 'Rotten blocks that nobody could heal yet.', () => {
    return storage.blocks.usage().quarantined
  })
  gauge('columns', 'Columns that are kept for others.', () => storage.columns.usage().columns)
  gauge('columns_used_bytes', 'Bytes that count towards the offer.', () => storage.columns.usage().usedBytes)
  gauge('columns_offered_bytes', 'The offer.', () => storage.columns.usage().offeredBytes)
  gauge('columns_repair_bytes', 'Bytes in use that the pool for repair pays.', () => {
    return storage.columns.usage().repairBytes
  })
  gauge('columns_writing', 'Columns being written.', () => storage.columns.usage().drafts)
  gauge('columns_rotten', 'Columns that were found rotten and have not come again.', () => {
    return storage.columns.usage().rottenColumns
  })
  gauge('column_tombstones', "Owners' deletions that are kept.", () => storage.columns.usage().tombstones)
  gauge('pins', 'Pins.', () => storage.pins.count())
  metrics.observed('gauge', { name: 'p2pnode_jobs', help: 'Jobs on record.', labels: ['state'] }, () =>
    Object.entries(jobs.counts()).map(([state, value]) => ({ labels: { state }, value })),
  )

  const transferred = {
    name: 'p2pnode_content_bytes_total',
    help: 'Bytes of blocks that went over the content protocol.',
    labels: ['direction'] as const,
  }
  metrics.observed('counter', transferred, () => {
    const { servedBytes, fetchedBytes } = content.statistics()
    return [
      { labels: { direction: 'served' }, value: servedBytes },
      { labels: { direction: 'fetched' }, value: fetchedBytes },
    ]
  })
  const blocks = {
    name: 'p2pnode_content_blocks_total',
    help: 'Blocks that went over the content protocol.',
    labels: ['direction'] as const,
  }
  metrics.observed('counter', blocks, () => {
    const { servedBlocks, fetchedBlocks } = content.statistics()
    return [
      { labels: { direction: 'served' }, value: servedBlocks },
      { labels: { direction: 'fetched' }, value: fetchedBlocks },
    ]
  })

  observeBitswap(metrics, services.bitswap)
  observeSteps(metrics, services.discovery)

  const denied = {
    name: 'p2pnode_trust_denials_total',
    help: 'What peers were refused, by action and reason.',
    labels: ['action', 'reason'] as const,
  }
  metrics.observed('counter', denied, () =>
    Object.entries(trust.denials()).flatMap(([action, reasons]) =>
      Object.entries(reasons).map(([reason, value]) => ({ labels: { action, reason }, value })),
    ),
  )
  const lost = {
    name: 'p2pnode_trust_evidence_dropped_total',
    help: 'Reports about peers that could not be kept.',
  }
  metrics.observed('counter', lost, () => [{ value: trust.droppedEvidence() }])
  const messages = {
    name: 'p2pnode_gossip_messages_total',
    help: 'Gossip messages: received ones by verdict, published ones, and those that no handler had room for.',
    labels: ['result'] as const,
  }
  metrics.observed('counter', messages, () =>
    Object.entries(gossip.statistics()).map(([result, value]) => ({ labels: { result }, value })),
  )
  const said = { name: 'p2pnode_messages_total', help: 'What applications said.', labels: ['event'] as const }
  metrics.observed('counter', said, () =>
    Object.entries(services.messages.statistics()).map(([event, value]) => ({ labels: { event }, value })),
  )
  const sent = {
    name: 'p2pnode_message_hooks_total',
    help: 'Messages for webhooks, by what became of them.',
    labels: ['event'] as const,
  }
  metrics.observed('counter', sent, () => {
    const { queued: _queued, ...events } = services.hooks.statistics()
    return Object.entries(events).map(([event, value]) => ({ labels: { event }, value }))
  })
  const waiting = { name: 'p2pnode_message_hooks_queued', help: 'Messages that wait for webhooks.' }
  metrics.observed('gauge', waiting, () => [{ value: services.hooks.statistics().queued }])
  const recommended = {
    name: 'p2pnode_recommendations_total',
    help: 'What peers say of each other: told by this node, taken from others, and bundles with wrong signatures.',
    labels: ['event'] as const,
  }
  metrics.observed('counter', recommended, () =>
    Object.entries(services.recommendations.statistics()).map(([event, value]) => ({
      labels: { event },
      value,
    })),
  )
  observeConvergence(metrics, services.convergence)
  observeVault(metrics, vault)
  observeBandwidth(metrics, services.bandwidth)
  observeProvides(metrics, services.provides)
  observeCache(metrics, services.cache)
  observeKeeping(metrics, services)
  observeCatalog(metrics, services.catalog)
}

/** What went over Bitswap, and what it keeps in memory for others and for this node. */
function observeBitswap(metrics: MeasuredServices['metrics'], bitswap: MeasuredServices['bitswap']): void {
  const counter = (unit: string, help: string, read: () => Record<string, number>): void =>
    metrics.observed(
      'counter',
      { name: `p2pnode_bitswap_${unit}_total`, help, labels: ['direction'] as const },
      () => Object.entries(read()).map(([direction, value]) => ({ labels: { direction }, value })),
    )
  counter('blocks', 'Blocks that went over Bitswap.', () => {
    const { sentBlocks, receivedBlocks } = bitswap.statistics()
    return { sent: sentBlocks, received: receivedBlocks }
  })
  counter(
    'bytes',
    'Bytes of blocks that went over Bitswap; unwanted ones came and were not asked for.',
    () => {
      const { sentBytes, receivedBytes, unwantedBytes } = bitswap.statistics()
      return { sent: sentBytes, received: receivedBytes, unwanted: unwantedBytes }
    },
  )
  const wants = {
    name: 'p2pnode_bitswap_wants',
    help: 'Blocks that are wanted now.',
    labels: ['whose'] as const,
  }
  metrics.observed('gauge', wants, () => {
    const { ownWants, peerWants } = bitswap.statistics()
    return [
      { labels: { whose: 'own' }, value: ownWants },
      { labels: { whose: 'peers' }, value: peerWants },
    ]
  })
}

/** Sets that are compared with peers. */
function observeConvergence(
  metrics: MeasuredServices['metrics'],
  convergence: MeasuredServices['convergence'],
): void {
  const sessions = {
    name: 'p2pnode_reconcile_sessions_total',
    help: 'Comparisons of sets with peers: begun here, failed of those, answered.',
    labels: ['event'] as const,
  }
  metrics.observed('counter', sessions, () => {
    const { begun, failed, answered } = convergence.statistics()
    return Object.entries({ begun, failed, answered }).map(([event, value]) => ({ labels: { event }, value }))
  })
  const entries = {
    name: 'p2pnode_reconcile_entries_total',
    help: 'Entries that comparisons brought: taken here, refused here, given to peers.',
    labels: ['result'] as const,
  }
  metrics.observed('counter', entries, () => {
    const { taken, refused, given } = convergence.statistics()
    return Object.entries({ taken, refused, given }).map(([result, value]) => ({ labels: { result }, value }))
  })
  const bytes = {
    name: 'p2pnode_reconcile_bytes_total',
    help: 'Bytes of comparisons, entries included.',
    labels: ['direction'] as const,
  }
  metrics.observed('counter', bytes, () => {
    const { sentBytes, receivedBytes } = convergence.statistics()
    return [
      { labels: { direction: 'sent' }, value: sentBytes },
      { labels: { direction: 'received' }, value: receivedBytes },
    ]
  })
}

/** What each step of the discovery flow was asked and brought. */
function observeSteps(metrics: MeasuredServices['metrics'], discovery: MeasuredServices['discovery']): void {
  const counter = (name: string, help: string, figure: keyof StepFigures, unit = 1): void =>
    metrics.observed('counter', { name: `p2pnode_content_step_${name}_total`, help, labels: ['step'] }, () =>
      Object.entries(discovery.steps()).map(([step, figures]) => ({
        labels: { step },
        value: figures[figure] / unit,
      })),
    )
  counter(
    'asked',
    'Blocks that a step of the discovery flow was asked for; of local and peers, fetches.',
    'asked',
  )
  counter('answered', 'Blocks that a step of the discovery flow brought.', 'answered')
  counter('bytes', 'Bytes of blocks that a step of the discovery flow brought.', 'bytes')
  counter('seconds', 'Time in which a step of the discovery flow was waited for.', 'ms', 1_000)
}

/** What moves, and how long it waits for its turn. */
function observeBandwidth(
  metrics: MeasuredServices['metrics'],
  bandwidth: MeasuredServices['bandwidth'],
): void {
  const labels = ['protocol', 'direction'] as const
  type Figure = Exclude<keyof ReturnType<BandwidthLimiter['statistics']>[number], (typeof labels)[number]>
  const counter = (name: string, help: string, figure: Figure, unit = 1): void =>
    metrics.observed('counter', { name: `p2pnode_bandwidth_${name}_total`, help, labels }, () =>
      bandwidth.statistics().map(({ protocol, direction, [figure]: value }) => ({
        labels: { protocol, direction },
        value: value / unit,
      })),
    )
  counter('bytes', 'Data that was sent and received.', 'bytes')
  counter('waits', 'How often data had to wait for its turn.', 'waits')
  counter('wait_seconds', 'How long data had to wait, all waits together.', 'waitedMs', 1_000)
  metrics.observed(
    'gauge',
    { name: 'p2pnode_bandwidth_waiting', help: 'Streams that wait for their turn.', labels: ['direction'] },
    () => Object.entries(bandwidth.waiting()).map(([direction, value]) => ({ labels: { direction }, value })),
  )
}

/** What was fetched and nobody pinned. */
function observeCache(metrics: MeasuredServices['metrics'], read: MeasuredServices['cache']): void {
  const roots = { name: 'p2pnode_cache_roots', help: 'Roots that were fetched and may be evicted.' }
  metrics.observed('gauge', roots, () => [{ value: read()?.roots ?? 0 }])
  const readings = {
    name: 'p2pnode_cache_readings_total',
    help: 'Readings that found all they asked for here (hit), and such that fetched something (miss).',
    labels: ['result'] as const,
  }
  metrics.observed('counter', readings, () => [
    { labels: { result: 'hit' }, value: read()?.hits ?? 0 },
    { labels: { result: 'miss' }, value: read()?.misses ?? 0 },
  ])
  const counter = (name: string, help: string, value: (figures: CacheStatistics) => number): void =>
    metrics.observed('counter', { name: `p2pnode_cache_${name}_total`, help }, () => {
      const figures = read()
      return [{ value: figures === undefined ? 0 : value(figures) }]
    })
  counter('evicted_roots', 'Roots that were evicted.', ({ evictedRoots }) => evictedRoots)
  counter('evicted_bytes', 'Bytes of blocks that were evicted.', ({ evictedBytes }) => evictedBytes)
  counter('prefetched_roots', 'Roots that were fetched ahead.', ({ prefetchedRoots }) => prefetchedRoots)
}

/** What is kept for others, what others keep, and what is told of new content. */
function observeKeeping(
  metrics: MeasuredServices['metrics'],
  { policies, announcements }: Pick<MeasuredServices, 'policies' | 'announcements'>,
): void {
  const gauge = (name: string, help: string, read: () => number): void =>
    metrics.observed('gauge', { name: `p2pnode_${name}`, help }, () => [{ value: read() }])
  gauge(
    'keep_promises',
    'Public content that this node keeps for others.',
    () => policies.statistics().promises,
  )
  gauge('keep_promised_bytes', 'Bytes of the offer in use for it.', () => policies.statistics().promisedBytes)
  gauge('copies', 'Copies of own public content that others keep.', () => policies.statistics().copies)
  gauge('copies_short_roots', 'Roots with fewer copies than a pin policy wants.', () => {
    return policies.statistics().shortRoots
  })
  const lost = { name: 'p2pnode_copies_lost_total', help: 'Copies that vanished or ran out.' }
  metrics.observed('counter', lost, () => [{ value: policies.statistics().lostCopies }])
  const told = {
    name: 'p2pnode_announcements_total',
    help: 'Announcements of public content: own ones that were sent or dropped, and those of others.',
    labels: ['event'] as const,
  }
  metrics.observed('counter', told, () =>
    Object.entries(announcements.statistics()).map(([event, value]) => ({ labels: { event }, value })),
  )
}

/** What publishers say is to be had. */
function observeCatalog(metrics: MeasuredServices['metrics'], catalog: MeasuredServices['catalog']): void {
  type Figures = ReturnType<CatalogService['statistics']>
  const gauge = (name: string, help: string, value: (figures: Figures) => number): void =>
    metrics.observed('gauge', { name: `p2pnode_catalog_${name}`, help }, () => [
      { value: value(catalog.statistics()) },
    ])
  gauge('entries', 'Entries of the catalogue that are kept.', ({ entries }) => entries)
  gauge('hidden_entries', 'Those of publishers that are not trusted.', ({ hiddenEntries }) => hiddenEntries)
  gauge('publishers', 'Publishers of whom something is kept.', ({ publishers }) => publishers)
  gauge('bytes', 'What the catalogue takes of catalog.size.', ({ bytes }) => bytes)
  const records = {
    name: 'p2pnode_catalog_records_total',
    help: 'Records that came, by what became of them; expired and withdrawn: entries that went.',
    labels: ['result'] as const,
  }
  metrics.observed('counter', records, () => {
    const { taken, invalid, refused, withdrawn, expired } = catalog.statistics()
    const results = {
      taken,
      invalid,
      withdrawn,
      expired,
      ...Object.fromEntries(Object.entries(refused).map(([reason, count]) => [`refused-${reason}`, count])),
    }
    return Object.entries(results).map(([result, value]) => ({ labels: { result }, value }))
  })
}

/** What the DHT is told that this node has, and how far behind that is. */
function observeProvides(metrics: MeasuredServices['metrics'], read: MeasuredServices['provides']): void {
  const gauge = (name: string, help: string, value: (figures: ProvideStatistics) => number): void =>
    metrics.observed('gauge', { name: `p2pnode_provide_${name}`, help }, () => [{ value: value(read()) }])
  gauge('records', 'Provider records that are announced over and over.', ({ records }) => records)
  gauge('debt_records', 'Provider records that should have been announced by now.', (figures) => {
    return figures.debtRecords
  })
  gauge(
    'debt_oldest_seconds',
    'For how long the provider record that is due longest has been.',
    (figures) => {
      return figures.debtOldestMs / 1_000
    },
  )
  const results = {
    name: 'p2pnode_provides_total',
    help: 'Announcements of provider records by what became of them.',
    labels: ['result'] as const,
  }
  metrics.observed('counter', results, () => {
    const { provided, failed, refused } = read()
    return Object.entries({ provided, failed, ...refused }).map(([result, value]) => ({
      labels: { result },
      value,
    }))
  })
}

/** What the node does for other owners' files: audits of other holders, repair, columns that come and go. */
function observeVault(metrics: MeasuredServices['metrics'], vault: MeasuredServices['vault']): void {
  const counter = (name: string, help: string, label: string, read: () => Record<string, number>): void =>
    metrics.observed('counter', { name: `p2pnode_vault_${name}_total`, help, labels: [label] }, () =>
      Object.entries(read()).map(([key, value]) => ({ labels: { [label]: key }, value })),
    )
  const gauge = (name: string, help: string, read: () => number): void =>
    metrics.observed('gauge', { name: `p2pnode_vault_${name}`, help }, () => [{ value: read() }])

  counter('audits', 'Columns of other holders that were challenged.', 'result', () => {
    const { auditsPassed, auditsFailed, auditsUnreachable } = vault.statistics()
    return { passed: auditsPassed, failed: auditsFailed, unreachable: auditsUnreachable }
  })
  metrics.observed(
    'counter',
    {
      name: 'p2pnode_vault_audit_bytes_total',
      help: 'What challenges of other holders and their proofs took.',
    },
    () => [{ value: vault.statistics().auditBytes }],
  )
  counter('columns', 'Columns that came here, went, or were rebuilt at others.', 'event', () => {
    const { columnsStored, columnsRebuilt, columnsTrimmed, columnsExpired } = vault.statistics()
    return {
      stored: columnsStored,
      rebuilt: columnsRebuilt,
      trimmed: columnsTrimmed,
      expired: columnsExpired,
    }
  })
  counter('repairs', 'Repairs of slabs.', 'event', () => {
    const { repairsStarted, repairsFailed, slabsMeasured } = vault.statistics()
    return { measured: slabsMeasured, started: repairsStarted, failed: repairsFailed }
  })
  gauge('pending_repairs', 'Slabs that are looked into, or wait for their repair.', () => {
    return vault.statistics().pendingRepairs
  })
  gauge('doubtful_columns', 'Columns of other holders that could not be proven twice in a row.', () => {
    return vault.statistics().doubtfulColumns
  })
  gauge('serving', '0 while the node was away for long and still learns what was deleted meanwhile.', () =>
    Number(!vault.statistics().isStale),
  )
}
