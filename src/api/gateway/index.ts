/**
 * The HTTP gateway: public content for browsers, and for clients that verify what they get.
 *
 * @example
 * const gateway = await createGateway({ settings: config.gateway, content, privateMark, decideAddress, bandwidth, metrics, log })
 * const { url } = await gateway.listen()
 *
 * Reading order: `target.ts` (what a request names), `content.ts` (how it is found), `answer.ts` and its neighbours (what is
 * sent), `server.ts` (transport and bounds), `limits.ts`.
 */
import { listenError } from '../listen-error.ts'
import { urlOf } from '../url-of.ts'
import { stopping } from '../errors.ts'
import { TIMEOUTS } from './limits.ts'
import { createGatewayServer } from './server.ts'
import type { GatewayDependencies } from './types.ts'

export interface Gateway {
  /** @throws ERR_GATEWAY_LISTEN where the address cannot be listened on */
  listen(): Promise<{ url: string }>
  /**
   * Takes no more requests, waits a bounded time for running ones and destroys what is left. Closing twice, or before
   * listening, does no harm.
   */
  close(): Promise<void>
}

/** Builds the gateway; nothing listens before `listen`. */
export async function createGateway(dependencies: GatewayDependencies): Promise<Gateway> {
  const log = dependencies.log.child({ part: 'gateway' })
  const { closeGraceMs } = { ...TIMEOUTS, ...dependencies.timeouts }
  const closing = new AbortController()
  const ended = new AbortController()
  const { app, requests } = await createGatewayServer(dependencies, log, {
    closing: closing.signal,
    ended: ended.signal,
  })

  async function shutDown(): Promise<void> {
    closing.abort()
    app.server.closeIdleConnections()
    await requests.ended(closeGraceMs)
    ended.abort(stopping())
    const closed = app.close()
    app.server.closeAllConnections()
    await closed
  }

  let closed: Promise<void> | undefined
  return {
    async listen() {
      const { host, port } = dependencies.settings
      try {
        await app.listen({ host, port })
      } catch (error) {
        throw listenError(error, 'gateway', host, port)
      }
      const url = urlOf(app.server.address(), host)
      log.info({ url }, 'the gateway listens')
      return { url }
    },
    close: () => (closed ??= shutDown()),
  }
}
