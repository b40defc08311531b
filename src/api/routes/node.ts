import { PassThrough } from 'node:stream'
import type { Static } from 'typebox'
import { presentUsage } from '../present.ts'
import { route, type Route, WithStatus } from '../route.ts'
import {
  ConfigReport,
  DoctorReport,
  type Health,
  IdReport,
  LiveReport,
  ReadyReport,
  StatsReport,
  StatusReport,
  Stopping,
} from '../schemas/node.ts'
import { StreamAnswer } from '../streaming.ts'

/** Bytes of a backup that may wait between its writer and a slow reader. */
const BACKUP_BUFFER_BYTES = 256 * 1024

export const nodeRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/status',
    operationId: 'status',
    tag: 'node',
    access: 'read',
    summary: 'What the node is and how it is',
    replies: { 200: { description: 'the report', schema: StatusReport } },
    handle: async (_call, context) => ({
      ...context.status(),
      peers: context.network.peerCount(),
      storage: presentUsage(context),
      vault: context.vault?.report() ?? null,
      jobs: context.jobs.counts(),
      hooks: hookCounts(context),
      ...readiness(context),
    }),
  }),
  route({
    method: 'GET',
    path: '/api/v1/id',
    operationId: 'id',
    tag: 'node',
    access: 'read',
    summary: 'Who the node is to others',
    replies: { 200: { description: 'identity, addresses and protocols', schema: IdReport } },
    handle: async (_call, context) => context.id(),
  }),
  route({
    method: 'POST',
    path: '/api/v1/stop',
    operationId: 'stop',
    tag: 'node',
    access: 'admin',
    summary: 'Stop the node',
    description: 'Answers at once; the node then finishes or suspends its jobs and ends.',
    replies: { 200: { description: 'the node is stopping', schema: Stopping } },
    handle: async (_call, context) => {
      // After the answer is on its way: stopping begins with closing this very server.
      setImmediate(() => context.stop())
      return { stopping: true as const }
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/config',
    operationId: 'config',
    tag: 'node',
    access: 'read',
    summary: 'The resolved configuration',
    description: 'Secrets are hidden; each key names its source.',
    replies: { 200: { description: 'every key', schema: ConfigReport } },
    handle: async (_call, context) => context.configuration(),
  }),
  route({
    method: 'GET',
    path: '/api/v1/doctor',
    operationId: 'doctor',
    tag: 'node',
    access: 'read',
    summary: 'Check ports, modes, disk, clock and versions',
    replies: { 200: { description: 'each check with its fix', schema: DoctorReport } },
    handle: async (call, context) => context.doctor(call.signal),
  }),
  route({
    method: 'GET',
    path: '/api/v1/stats',
    operationId: 'stats',
    tag: 'node',
    access: 'read',
    summary: 'Measured figures of the process and its services',
    replies: { 200: { description: 'the figures', schema: StatsReport } },
    handle: async (_call, context) => {
      const cpu = process.cpuUsage()
      return {
        process: {
          rssBytes: process.memoryUsage.rss(),
          cpuSeconds: (cpu.user + cpu.system) / 1e6,
          eventLoopDelayP99Ms: context.metrics.eventLoopDelayP99Ms(),
        },
        content: context.contentStatistics(),
        steps: context.content.steps(),
        storage: presentUsage(context),
        jobs: context.jobs.counts(),
        peers: context.network.peerCount(),
        ...(context.provideStatistics === undefined ? {} : { provide: context.provideStatistics() }),
        ...context.gossipStatistics?.(),
      }
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/backup',
    operationId: 'backup',
    tag: 'node',
    access: 'admin',
    summary: 'A consistent snapshot of the data folder',
    description: 'Holds the node’s keys. A failure on the way ends the connection, never the stream.',
    replies: { 200: { description: 'a tar stream', type: 'application/x-tar' } },
    handle: async (call, context) => {
      const out = new PassThrough({ highWaterMark: BACKUP_BUFFER_BYTES })
      const written = context.backup(out, call.signal)
      // The reader of `out` learns of a failure, before the first byte as well as after it.
      written.then(
        () => out.writableEnded || out.end(),
        (error: unknown) => out.destroy(error instanceof Error ? error : new Error(String(error))),
      )
      return new StreamAnswer(
        200,
        {
          'content-type': 'application/x-tar',
          'content-disposition': 'attachment; filename="p2pnode-backup.tar"',
        },
        out,
      )
    },
  }),
  route({
    method: 'GET',
    path: '/health/live',
    operationId: 'live',
    tag: 'node',
    access: 'none',
    head: true,
    summary: 'The process answers',
    replies: { 200: { description: 'alive', schema: LiveReport } },
    handle: async () => ({ state: 'live' as const }),
  }),
  route({
    method: 'GET',
    path: '/health/ready',
    operationId: 'ready',
    tag: 'node',
    access: 'none',
    head: true,
    summary: 'The node serves',
    description:
      '503 while it starts, as soon as it begins to stop, and for good where it can store nothing any more (failed) and only a restart helps. A node that is degraded has a problem and serves: 200.',
    replies: {
      200: { description: 'ready', schema: ReadyReport },
      503: { description: 'not ready', schema: ReadyReport },
    },
    handle: async (_call, context) => {
      const { health, problems } = readiness(context)
      const serving = health === 'ready' || health === 'degraded'
      return new WithStatus(serving ? 200 : 503, { state: health, problems })
    },
  }),
  route({
    method: 'GET',
    path: '/metrics',
    operationId: 'metrics',
    tag: 'node',
    access: 'read-unless-loopback',
    summary: 'Figures for Prometheus',
    replies: { 200: { description: 'Prometheus text', type: 'text/plain' } },
    handle: async (_call, context) =>
      new StreamAnswer(200, { 'content-type': context.metrics.contentType }, [await context.metrics.text()]),
  }),
]

function hookCounts({ hooks }: Parameters<Route['handle']>[1]): Static<typeof StatusReport>['hooks'] {
  if (hooks === undefined) return null
  const all = hooks.list()
  const count = (state: (typeof all)[number]['state']): number =>
    all.filter((hook) => hook.state === state).length
  return { total: all.length, failing: count('failing'), disabled: count('disabled') }
}

/** The node's health, unless this API is closing: then the node is stopping, whatever else it says. */
function readiness(context: Parameters<Route['handle']>[1]): {
  health: Static<typeof Health>
  problems: string[]
} {
  const report = context.health()
  return { health: context.closing.aborted ? 'stopping' : report.state, problems: report.problems }
}
