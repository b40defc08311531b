import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Static } from 'typebox'
import type { Logger } from '../../telemetry/types.ts'
import { tooManyEventClients } from '../errors.ts'
import {
  EVENT_CLIENT_QUEUE_BYTES,
  EVENT_RING_BYTES,
  EVENT_RING_EVENTS,
  MAX_EVENT_CLIENTS,
} from '../limits.ts'
import type { EventData } from '../schemas/events.ts'
import { EventRing, type SentEvent } from './ring.ts'

export type EventTopic = 'jobs' | 'peers' | 'storage' | 'content' | 'catalog'

type Events = Static<typeof EventData>

interface Client {
  response: ServerResponse
  topics: ReadonlySet<string>
}

export interface Admission {
  topics?: EventTopic[]
  lastEventId?: string
}

/**
 * Sends events to every client that listens, and keeps the last ones for clients that come back. An event's id is
 * `<boot>-<n>`: `boot` names this life of the daemon, so an id of an earlier one is answered with `reset`.
 */
export class EventHub {
  readonly #boot = randomBytes(6).toString('hex')
  readonly #ring = new EventRing(EVENT_RING_EVENTS, EVENT_RING_BYTES)
  readonly #clients = new Set<Client>()
  readonly #log: Logger
  readonly #heartbeat: NodeJS.Timeout
  #closed = false

  constructor(log: Logger, heartbeatMs: number) {
    this.#log = log
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMs)
    this.#heartbeat.unref()
  }

  get clients(): number {
    return this.#clients.size
  }

  publish<Name extends keyof Events>(topic: EventTopic, name: Name, data: Events[Name]): void {
    if (this.#closed) return
    const number = this.#ring.lastNumber + 1
    const event = { number, topic, text: eventText(`${this.#boot}-${number}`, name, data) }
    this.#ring.add(event)
    for (const client of this.#clients) this.#send(client, event)
  }

  /**
   * Checks that one more client may listen, and returns what serves its response from then on.
   *
   * @throws ERR_TOO_MANY_EVENT_STREAMS
   */
  admit(admission: Admission): (response: ServerResponse) => void {
    if (this.#clients.size >= MAX_EVENT_CLIENTS) throw tooManyEventClients(MAX_EVENT_CLIENTS)
    return (response) => this.#serve(response, admission)
  }

  /** Ends every stream; clients resume elsewhere or later by their last id. */
  close(): void {
    this.#closed = true
    clearInterval(this.#heartbeat)
    for (const client of this.#clients) client.response.end()
    this.#clients.clear()
  }

  #serve(response: ServerResponse, admission: Admission): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    const client: Client = {
      response,
      topics: new Set(admission.topics ?? ['jobs', 'peers', 'storage', 'content', 'catalog']),
    }
    // A comment, so that the client knows at once that it is connected.
    response.write(': p2pnode\n\n')
    if (admission.lastEventId !== undefined) this.#resume(client, admission.lastEventId)
    if (this.#closed) {
      response.end()
      return
    }
    this.#clients.add(client)
    response.on('close', () => this.#clients.delete(client))
  }

  #resume(client: Client, lastEventId: string): void {
    const dash = lastEventId.lastIndexOf('-')
    const number = /^\d{1,15}$/.test(lastEventId.slice(dash + 1))
      ? Number(lastEventId.slice(dash + 1))
      : undefined
    const missed =
      dash === -1 || number === undefined || lastEventId.slice(0, dash) !== this.#boot
        ? undefined
        : this.#ring.after(number)
    if (missed === undefined) {
      // The id that the client has from here on is that of now: it resumes from this point the next time.
      client.response.write(
        eventText(`${this.#boot}-${this.#ring.lastNumber}`, 'reset', {
          reason: 'events since that id are not kept',
        }),
      )
      return
    }
    for (const event of missed) {
      if (client.topics.has(event.topic)) client.response.write(event.text)
    }
  }

  #send(client: Client, event: SentEvent): void {
    if (!client.topics.has(event.topic)) return
    client.response.write(event.text)
    this.#dropIfSlow(client)
  }

  #beat(): void {
    for (const client of this.#clients) {
      client.response.write(':\n\n')
      this.#dropIfSlow(client)
    }
  }

  #dropIfSlow(client: Client): void {
    if (client.response.writableLength <= EVENT_CLIENT_QUEUE_BYTES) return
    this.#clients.delete(client)
    client.response.destroy()
    this.#log.debug(
      { queuedBytes: client.response.writableLength },
      'dropped an event client that reads too slowly',
    )
  }
}

/** `JSON.stringify` escapes line breaks, so one `data` line holds it all. */
const eventText = (id: string, name: string, data: unknown): string =>
  `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`
