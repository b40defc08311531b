import type { FastifyReply } from 'fastify'
import type { RoutedPeer } from '../../content/routing/types.ts'
import { sendStream, StreamAnswer } from '../streaming.ts'
import {
  CACHE_EMPTY_SECONDS,
  CACHE_RESULTS_SECONDS,
  MAX_JSON_RESULTS,
  MAX_STREAMED_RESULTS,
  STALE_SECONDS,
} from './limits.ts'

const NDJSON = 'application/x-ndjson'
const STALL_TIMEOUT_MS = 30_000

export interface PeersAnswer {
  /** The one field of the JSON: `Providers` or `Peers`. */
  field: 'Providers' | 'Peers'
  peers: AsyncIterable<RoutedPeer>
  /** Of the request's `Accept` header. */
  streamed: boolean
  /** Aborts when the client is gone. */
  gone: AbortSignal
}

/** Whether a client asks for lines of JSON: only then it gets them. */
export function wantsStream(accept: string | undefined): boolean {
  return (accept ?? '').split(',').some((part) => part.split(';', 1)[0]?.trim().toLowerCase() === NDJSON)
}

/** Peers as one JSON, or as lines as they are found. */
export async function sendPeers(reply: FastifyReply, answer: PeersAnswer): Promise<unknown> {
  const { field, peers, streamed, gone } = answer
  if (!streamed) {
    const found: object[] = []
    for await (const peer of peers) {
      found.push(recordOf(peer))
      if (found.length >= MAX_JSON_RESULTS) break
    }
    return reply
      .headers(cacheHeaders(found.length > 0))
      .type('application/json; charset=utf-8')
      .send({ [field]: found })
  }
  // The head waits for the first line: by then it is known whether there is any.
  const lines = linesOf(peers)
  const first = await lines.next()
  const headers = { ...cacheHeaders(first.done !== true), 'content-type': NDJSON }
  await sendStream(reply.raw, new StreamAnswer(200, headers, withFirst(first, lines)), {
    signal: gone,
    stallTimeoutMs: STALL_TIMEOUT_MS,
    onCommitted() {
      reply.hijack()
    },
  })
  return reply
}

async function* linesOf(peers: AsyncIterable<RoutedPeer>): AsyncGenerator<string> {
  let count = 0
  for await (const peer of peers) {
    yield `${JSON.stringify(recordOf(peer))}\n`
    count += 1
    if (count >= MAX_STREAMED_RESULTS) return
  }
}

async function* withFirst(
  first: IteratorResult<string>,
  rest: AsyncGenerator<string>,
): AsyncGenerator<string> {
  if (first.done === true) return
  yield first.value
  yield* rest
}

const recordOf = ({ id, addrs, protocols }: RoutedPeer): object => ({
  Schema: 'peer',
  ID: id,
  Addrs: addrs,
  Protocols: protocols,
})

function cacheHeaders(hasResults: boolean): Record<string, string> {
  const maxAge = hasResults ? CACHE_RESULTS_SECONDS : CACHE_EMPTY_SECONDS
  return {
    'cache-control': `public, max-age=${maxAge}, stale-while-revalidate=${STALE_SECONDS}, stale-if-error=${STALE_SECONDS}`,
    'last-modified': new Date().toUTCString(),
    vary: 'Accept',
  }
}
