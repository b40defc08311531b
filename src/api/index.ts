import { listenError } from './listen-error.ts'
import { announce, type ApiFile, withdraw } from './api-file.ts'
import type { ApiContext } from './context.ts'
import type { ApiDependencies } from './dependencies.ts'
import { buildDocument } from './document.ts'
import { EventHub } from './events/hub.ts'
import {
  publishAnnouncements,
  publishCatalog,
  publishJobs,
  publishPeers,
  publishStatus,
} from './events/sources.ts'
import { TIMEOUTS } from './limits.ts'
import { presentUsage } from './present.ts'
import { ReadLog } from './read-log.ts'
import { loadRootToken } from './root-token.ts'
import { routes } from './routes.ts'
import { RunningRequests } from './running-requests.ts'
import { createServer } from './server.ts'
import { Tokens } from './tokens.ts'
import { urlOf } from './url-of.ts'

export type {
  ApiDependencies,
  ListEntry,
  MetricsSource,
  TokenState,
  TrustAdministration,
} from './dependencies.ts'
export { routes } from './routes.ts'

/** The HTTP API of one node. */
export interface Api {
  /**
   * Listens, and announces the address in HOME/api.json.
   * @throws ERR_API_LISTEN where the address cannot be listened on
   */
  listen(): Promise<{ url: string }>
  /**
   * Turns readiness off, refuses everything but the questions after health, ends event streams and long polls, waits a
   * bounded time for running requests and destroys what is left. Draining twice, or before listening, does no harm.
   */
  drain(): Promise<void>
  /** Drains, then listens no more. Closing twice, or before listening, does no harm. */
  close(): Promise<void>
  /** The OpenAPI 3.1 document; built at the first call. */
  document(): Promise<object>
}

/**
 * Builds the API over its dependencies; nothing listens before `listen`.
 *
 * @throws ERR_TOKEN_FILE where HOME/api.token cannot be used
 */
export async function createApi(dependencies: ApiDependencies): Promise<Api> {
  const log = dependencies.log.child({ part: 'api' })
  const timeouts = { ...TIMEOUTS, ...dependencies.timeouts }
  const closing = new AbortController()
  const events = new EventHub(log, timeouts.eventHeartbeatMs)
  let document: Promise<object> | undefined
  const context: ApiContext = {
    ...dependencies,
    log,
    timeouts,
    tokens: new Tokens({
      state: dependencies.state,
      log,
      rootToken: await loadRootToken(dependencies.home, log),
    }),
    events,
    reads: new ReadLog(),
    closing: closing.signal,
    requests: new RunningRequests(),
    document: () => (document ??= buildDocument(routes, dependencies.version)),
  }
  const app = await createServer(context, routes)
  const status = publishStatus(events, () => {
    const { state, problems } = dependencies.health()
    return { health: closing.signal.aborted ? 'stopping' : state, problems, storage: presentUsage(context) }
  })
  const ends = [
    publishJobs(events, dependencies.jobs),
    publishPeers(events, dependencies.network),
    publishAnnouncements(events, dependencies.announcements),
    publishCatalog(events, dependencies.catalog),
    status.stop,
  ]
  let announced: ApiFile | undefined

  async function wane(): Promise<void> {
    closing.abort()
    if (announced !== undefined) await withdraw(dependencies.home, announced)
    status.publishNow()
    for (const end of ends) end()
    events.close()
    app.server.closeIdleConnections()
    if (!(await context.requests.ended(timeouts.closeGraceMs))) app.server.closeAllConnections()
  }

  async function shutDown(): Promise<void> {
    await drain()
    const closed = app.close()
    // A request after health may be under way; it has no claim to more.
    app.server.closeAllConnections()
    await closed
  }

  let drained: Promise<void> | undefined
  const drain = (): Promise<void> => (drained ??= wane())
  let closed: Promise<void> | undefined
  return {
    async listen() {
      const { host, port } = dependencies.listen
      try {
        await app.listen({ host, port })
      } catch (error) {
        throw listenError(error, 'api', host, port)
      }
      const url = urlOf(app.server.address(), host)
      announced = { url, pid: process.pid, version: dependencies.version, startedAtMs: Date.now() }
      await announce(dependencies.home, announced)
      log.info({ url }, 'the API listens')
      return { url }
    },
    drain,
    close: () => (closed ??= shutDown()),
    document: () => context.document(),
  }
}
