import { setTimeout as sleep } from 'node:timers/promises'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import type { components } from './api.gen.ts'
import { NO_DAEMON_CODE } from './exit-codes.ts'
import { bodyOf, type Transport } from './transport.ts'

type EventData = components['schemas']['EventData']

/** One event: `id` is what to go on from, `data` fits the event's name. */
export type NodeEvent = {
  [Name in keyof EventData]: { id: string | null; event: Name; data: EventData[Name] }
}[keyof EventData]

export interface EventsOptions {
  topics?: ('jobs' | 'peers' | 'storage' | 'content')[]
  /** Goes on after this event. */
  lastEventId?: string
  signal: AbortSignal
  /** Called at each connection, once the daemon sends events. */
  onConnected?: () => void
  /** Whether a lost connection is made again; an event stream that ends is an error otherwise. Default: true. */
  reconnect?: boolean
}

/** Three heartbeats of the server (15 s each). */
const IDLE_TIMEOUT_MS = 45_000

const RETRY_DELAY_MS = 1_000

/** One event is at most a job's record; more than this without an end is no event stream of ours. */
const MAX_EVENT_CHARACTERS = 8 * 1024 * 1024

/** Follows the events of a node until the signal aborts, which ends it without an error. */
export async function* followEvents(transport: Transport, options: EventsOptions): AsyncGenerator<NodeEvent> {
  let lastEventId = options.lastEventId
  const query = options.topics === undefined ? '' : `?topics=${options.topics.join(',')}`
  let connected = false
  while (!options.signal.aborted) {
    try {
      const response = await transport.open({
        method: 'GET',
        path: `/api/v1/events${query}`,
        headers: {
          accept: 'text/event-stream',
          ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
        },
        signal: options.signal,
        idleTimeoutMs: IDLE_TIMEOUT_MS,
      })
      connected = true
      options.onConnected?.()
      for await (const event of parseEvents(bodyOf(response, transport.endpoint.url, options.signal))) {
        if (event.id !== null) lastEventId = event.id
        yield event
      }
    } catch (error) {
      if (options.signal.aborted) return
      if (!connected || options.reconnect === false || !mayComeBack(error)) throw error
    }
    if (options.reconnect === false) return
    await sleep(RETRY_DELAY_MS, undefined, { signal: options.signal }).catch(() => undefined)
  }
}

/** The text format of HTML's server-sent events, as far as the daemon uses it: id, event, data, comments. */
export async function* parseEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<NodeEvent> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true })
    const blocks = rest.split('\n\n')
    rest = blocks.pop() ?? ''
    if (rest.length > MAX_EVENT_CHARACTERS) {
      throw new P2pnodeError('ERR_EVENT_TOO_LARGE', 'failed', 'An event is larger than any the daemon sends')
    }
    for (const block of blocks) {
      const event = parseEvent(block)
      if (event !== undefined) yield event
    }
  }
}

function parseEvent(block: string): NodeEvent | undefined {
  let id: string | null = null
  let event = 'message'
  const data: string[] = []
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'id') id = value
    else if (field === 'event') event = value
    else if (field === 'data') data.push(value)
  }
  if (data.length === 0) return undefined
  return { id, event, data: JSON.parse(data.join('\n')) as unknown } as NodeEvent
}

const TRANSIENT = new Set([NO_DAEMON_CODE, 'ERR_CONNECTION_LOST', 'ERR_CONNECTION_IDLE', 'ERR_STOPPING'])

const mayComeBack = (error: unknown): boolean => error instanceof P2pnodeError && TRANSIENT.has(error.code)
