import { Type } from 'typebox'
import { Count, Instant, Name } from './common.ts'
import { JobState } from './jobs.ts'
import { StorageUsage } from './storage.ts'
import { VaultReport } from './vault.ts'

export const Health = Type.Enum(['ready', 'starting', 'stopping', 'degraded', 'failed'], { type: 'string' })

export const JobCounts = Type.Record(JobState, Count)

export const StatusReport = Type.Object(
  {
    peerId: Type.String(),
    did: Type.String(),
    role: Type.String(),
    effect: Type.Array(Type.String(), {
      description: 'What the node is to its network under its configuration, in words.',
    }),
    version: Type.String(),
    uptimeMs: Count,
    home: Type.String(),
    peers: Count,
    storage: StorageUsage,
    vault: Type.Union([VaultReport, Type.Null()]),
    jobs: JobCounts,
    hooks: Type.Union(
      [
        Type.Object({
          total: Count,
          failing: Type.Integer({
            minimum: 0,
            description: 'Nothing was taken lately; the node goes on trying.',
          }),
          disabled: Type.Integer({ minimum: 0, description: 'Given up: what comes is not kept for them.' }),
        }),
        Type.Null(),
      ],
      { description: 'Webhooks of application messages.' },
    ),
    health: Health,
    problems: Type.Array(Type.String()),
    multiaddrs: Type.Array(Type.String()),
    network: Type.Object({
      mode: Type.String(),
      name: Type.String(),
      dht: Type.Enum(['server', 'client'], { type: 'string' }),
      reachability: Type.Enum(['unknown', 'direct', 'behind-nat'], {
        type: 'string',
        description:
          'unknown: no peer has said yet where it sees this node. direct: at an address of its own, or AutoNAT reached it. behind-nat: at one that is not its own, and nobody reached it there.',
      }),
      observed: Type.Array(Type.String(), {
        description: 'Hosts at which others see this node and that are not its own.',
      }),
      relays: Type.Array(Type.String(), { description: 'Relays at which this node holds a slot.' }),
      relayed: Count,
      upgraded: Count,
      relayedFor: Type.Union([Count, Type.Null()], {
        description: 'Slots that this node as a relay has given to others; null where it is none.',
      }),
    }),
  },
  { $id: 'StatusReport' },
)

export const IdReport = Type.Object(
  {
    peerId: Type.String(),
    did: Type.String(),
    multiaddrs: Type.Array(Type.String()),
    agent: Type.String(),
    protocols: Type.Array(Type.String()),
  },
  { $id: 'IdReport' },
)

export const Stopping = Type.Object({ stopping: Type.Literal(true) }, { $id: 'Stopping' })

export const LiveReport = Type.Object({ state: Type.Literal('live') }, { $id: 'LiveReport' })

export const ReadyReport = Type.Object(
  { state: Health, problems: Type.Array(Type.String()) },
  { $id: 'ReadyReport' },
)

export const ConfigReport = Type.Object(
  {
    values: Type.Array(
      Type.Object({
        key: Type.String(),
        value: Type.Unknown(),
        source: Type.String({ description: 'default, profile, file, environment or flag' }),
      }),
    ),
  },
  { $id: 'ConfigReport' },
)

export const DoctorReport = Type.Object(
  {
    checks: Type.Array(
      Type.Object({
        name: Type.String(),
        state: Type.Enum(['ok', 'warn', 'fail'], { type: 'string' }),
        message: Type.String(),
        fix: Type.Optional(Type.String()),
      }),
    ),
  },
  { $id: 'DoctorReport' },
)

export const ContentStatistics = Type.Object(
  {
    servedBytes: Count,
    servedBlocks: Count,
    fetchedBytes: Count,
    fetchedBlocks: Count,
    inboundStreams: Count,
    outboundStreams: Count,
  },
  { $id: 'ContentStatistics' },
)

/** Provider records: what the DHT is told that this node has. */
const ProvideReport = Type.Object({
  records: Count,
  debtRecords: Type.Integer({ minimum: 0, description: 'records that should have been announced by now' }),
  debtOldestMs: Type.Integer({
    minimum: 0,
    description: 'for how long the one that is due longest has been',
  }),
  running: Count,
  provided: Count,
  failed: Count,
  refused: Type.Object({ private: Count, denied: Count, hash: Count, full: Count }),
})

const StepFigures = Type.Object({
  asked: Type.Integer({ minimum: 0, description: 'blocks; of local and peers, fetches' }),
  answered: Type.Integer({ minimum: 0, description: 'blocks that it brought' }),
  bytes: Count,
  ms: Type.Number({ minimum: 0, description: 'time in which it was waited for' }),
})

/** What nodes say to all: messages by what became of them. */
const GossipFigures = Type.Object({
  accepted: Count,
  ignored: Type.Integer({ minimum: 0, description: 'not for this node, or not now; nobody’s fault' }),
  rejected: Type.Integer({ minimum: 0, description: 'against the rules' }),
  repeated: Type.Integer({ minimum: 0, description: 'of those ignored: heard before' }),
  stale: Type.Integer({ minimum: 0, description: 'of those ignored: too old, or of the future' }),
  published: Count,
  bundled: Type.Integer({ minimum: 0, description: 'payloads in those published' }),
  dropped: Type.Integer({ minimum: 0, description: 'that no handler had room for' }),
})

/** Sets that are compared with peers. */
const ReconcileFigures = Type.Object({
  begun: Count,
  failed: Count,
  answered: Count,
  taken: Type.Integer({ minimum: 0, description: 'entries that came and were kept' }),
  refused: Count,
  given: Count,
  sentBytes: Count,
  receivedBytes: Count,
})

export const StatsReport = Type.Object(
  {
    process: Type.Object({ rssBytes: Count, cpuSeconds: Type.Number(), eventLoopDelayP99Ms: Type.Number() }),
    content: ContentStatistics,
    steps: Type.Object({
      local: StepFigures,
      peers: StepFigures,
      ipfs: StepFigures,
      proxy: StepFigures,
      gateways: StepFigures,
    }),
    storage: StorageUsage,
    jobs: JobCounts,
    peers: Count,
    provide: Type.Optional(ProvideReport),
    gossip: Type.Optional(GossipFigures),
    reconcile: Type.Optional(ReconcileFigures),
  },
  { $id: 'StatsReport' },
)

export const Scope = Type.Enum(['read', 'write', 'admin'], { type: 'string' })

const TokenMembers = {
  id: Type.String(),
  name: Type.String(),
  scope: Scope,
}

export const TokenList = Type.Object(
  {
    tokens: Type.Array(
      Type.Object({
        ...TokenMembers,
        createdAtMs: Instant,
        lastUsedAtMs: Type.Union([Instant, Type.Null()]),
      }),
    ),
  },
  { $id: 'TokenList' },
)

export const CreateToken = Type.Object(
  { name: Name, scope: Scope },
  { $id: 'CreateToken', additionalProperties: false },
)

export const CreatedToken = Type.Object(
  {
    ...TokenMembers,
    token: Type.String({ description: 'shown this once; the node keeps only its SHA-256' }),
  },
  { $id: 'CreatedToken' },
)
