import { join } from 'node:path'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import { Client, locate, NO_DAEMON_CODE } from '../client/index.ts'
import type { CliContext } from './context.ts'
import { shellWord } from './format.ts'

/** A client of the daemon that the command is about. @throws ERR_NO_DAEMON, ERR_NO_TOKEN with what to do */
export function clientOf(context: CliContext): Client {
  try {
    return new Client(endpointOf(context))
  } catch (error) {
    throw explain(error, context)
  }
}

/** @throws ERR_NO_DAEMON, ERR_NO_TOKEN, ERR_API_URL */
export function endpointOf(context: CliContext): ReturnType<typeof locate> {
  if (context.api !== undefined && !isHttpUrl(context.api)) {
    throw new P2pnodeError(
      'ERR_API_URL',
      'usage',
      `--api must be an address such as http://127.0.0.1:4780; this is ${JSON.stringify(context.api)}`,
    )
  }
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

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && new URL(text).protocol === 'http:'
}

function explain(error: unknown, context: CliContext): unknown {
  if (!(error instanceof P2pnodeError) || error.code !== NO_DAEMON_CODE) return error
  const url = error.details.url
  const file = join(context.home, 'api.json')
  const where =
    typeof url === 'string' ? `at ${url} (from ${file})` : `for ${context.home} (there is no ${file})`
  const message =
    context.api === undefined
      ? `no daemon answers ${where}; start one with: p2pnode --home ${shellWord(context.home)} start`
      : `no daemon answers at ${context.api}; check --api, or start one there with: p2pnode start`
  return new P2pnodeError(NO_DAEMON_CODE, 'unavailable', message, {
    details: { ...error.details, home: context.home },
    cause: error,
  })
}
