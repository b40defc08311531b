import { P2pnodeError } from '../../protocols/shared/errors.ts'
import { Client, locate, NO_DAEMON_CODE } from '../client/index.ts'
import type { CliContext } from './context.ts'

/** A client of the daemon that the command is about. @throws ERR_NO_DAEMON, ERR_NO_TOKEN with what to do */
export function clientOf(context: CliContext): Client {
  try {
    return new Client(endpointOf(context))
  } catch (error) {
    throw explain(error, context)
  }
}

export function endpointOf(context: CliContext): ReturnType<typeof locate> {
  return locate({ home: context.home, api: context.api, token: context.token })
}

/** Runs `work` with a client, and says in a failure to reach the daemon where it was looked for and how to start one. */
export async function withClient<T>(context: CliContext, work: (client: Client) => Promise<T>): Promise<T> {
  const client = clientOf(context)
  try {
    return await work(client)
  } catch (error) {
    throw explain(error, context)
  } finally {
    client.close()
  }
}

function explain(error: unknown, context: CliContext): unknown {
  if (!(error instanceof P2pnodeError) || error.code !== NO_DAEMON_CODE) return error
  const url = error.details.url
  const where = typeof url === 'string' ? `at ${url}` : `for ${context.home}`
  const message =
    context.api === undefined
      ? `no daemon answers ${where}; start one with: p2pnode --home ${context.home} start`
      : `no daemon answers at ${context.api}; check --api, or start one there with: p2pnode start`
  return new P2pnodeError(NO_DAEMON_CODE, 'unavailable', message, {
    details: { ...error.details, home: context.home },
    cause: error,
  })
}
