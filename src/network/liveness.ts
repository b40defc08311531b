import type { Connection, Startable, Stream } from '@libp2p/interface'
import { type Ping, type PingComponents, ping } from '@libp2p/ping'
import { byteStream } from '@libp2p/utils'
import { randomBytes } from 'node:crypto'
import { handlingStreams } from './handled-streams.ts'
import { CONNECTION_LIMITS } from './limits.ts'

const PING_PROTOCOL = '/ipfs/ping/1.0.0'
const PING_BYTES = 32

export interface LivenessComponents {
  connectionManager: { getConnectionsMap(): { values(): Iterable<Connection[]> } }
}

export interface LivenessTimes {
  /** A connection shows within so long that its other side is there. */
  intervalMs: number
  /** So long it may take to answer. */
  timeoutMs: number
}

export interface Liveness {
  readonly service: (components: LivenessComponents) => Startable
  /** libp2p's ping, which answers others, and from which the service learns who has asked. */
  readonly ping: (components: PingComponents) => Ping
}

/**
 * Ends connections whose other side is gone, and measures their round trip (`Connection.rtt`).
 *
 * libp2p's own monitor pings every connection in one turn of the event loop, and both sides ping each other: with two hundred
 * connections that held the loop for 0.2 s each minute (a quarter of it here, measured side by side). Here each connection has its own time, and whoever was pinged
 * by the other side knows that it lives and does not ping itself, but for every tenth time: to measure.
 */
export function createLiveness(
  times: LivenessTimes = {
    intervalMs: CONNECTION_LIMITS.pingIntervalMs,
    timeoutMs: CONNECTION_LIMITS.pingTimeoutMs,
  },
): Liveness {
  let schedule = new PingSchedule<Connection>(times.intervalMs)
  return {
    ping({ registrar, connectionManager }) {
      // A middleware would be simpler, but libp2p adds the handler to its list once more with every stream that comes.
      const listening = handlingStreams(registrar, (handler) => (stream, connection) => {
        schedule.heard(connection)
        return handler(stream, connection)
      })
      return ping({ timeout: times.timeoutMs })({ connectionManager, registrar: listening })
    },

    service({ connectionManager }) {
      let stopping = new AbortController()
      let timer: NodeJS.Timeout | undefined
      let waiting: Connection[] = []
      let running = 0

      function look(): void {
        const open = [...connectionManager.getConnectionsMap().values()].flat()
        waiting.push(...schedule.due(open))
        work()
      }

      function work(): void {
        while (running < CONNECTION_LIMITS.maxConcurrentPings && !stopping.signal.aborted) {
          const connection = waiting.shift()
          if (connection === undefined) return
          running += 1
          void check(connection).finally(() => {
            running -= 1
            work()
          })
        }
      }

      /** Never rejects. */
      async function check(connection: Connection): Promise<void> {
        if (connection.status !== 'open') return
        const { signal: ended } = stopping
        const signal = AbortSignal.any([ended, AbortSignal.timeout(times.timeoutMs)])
        try {
          connection.rtt = await roundTripMs(connection, signal)
          schedule.measured(connection)
        } catch (error) {
          if (!ended.aborted) connection.abort(error instanceof Error ? error : new Error(String(error)))
        }
      }

      return {
        start() {
          stopping = new AbortController()
          timer ??= setInterval(look, times.intervalMs / LOOKS_PER_INTERVAL).unref()
        },
        stop() {
          clearInterval(timer)
          timer = undefined
          stopping.abort(new Error('the node stops'))
          waiting = []
          schedule = new PingSchedule(times.intervalMs)
        },
      }
    },
  }
}

/** How finely the times of connections are kept apart. */
const LOOKS_PER_INTERVAL = 30

/** @throws where the other side does not answer */
async function roundTripMs(connection: Connection, signal: AbortSignal): Promise<number> {
  const openedMs = performance.now()
  let stream: Stream
  try {
    stream = await connection.newStream(PING_PROTOCOL, { signal, runOnLimitedConnection: true })
  } catch (error) {
    // It has answered that it speaks no such protocol: after two round trips, the one for the negotiation itself.
    if (error instanceof Error && error.name === 'UnsupportedProtocolError')
      return (performance.now() - openedMs) / 2
    throw error
  }
  try {
    const bytes = byteStream(stream)
    const sentMs = performance.now()
    await Promise.all([
      bytes.write(randomBytes(PING_BYTES), { signal }),
      bytes.read({ bytes: PING_BYTES, signal }),
    ])
    const tookMs = performance.now() - sentMs
    await stream.close({ signal })
    return tookMs
  } catch (error) {
    stream.abort(error instanceof Error ? error : new Error(String(error)))
    throw error
  }
}

/** How often in a row a sign of the other side takes the place of a ping. */
const HEARD_IN_ROW = 9
/** Part of the interval by which times differ, so that two sides do not stay in step. */
const JITTER = 0.2

interface Time {
  dueMs: number
  heardInRow: number
}

/** When each connection is to be pinged. */
export class PingSchedule<Key extends object> {
  readonly #intervalMs: number
  readonly #now: () => number
  readonly #random: () => number
  readonly #times = new WeakMap<Key, Time>()

  constructor(
    intervalMs: number,
    {
      now = () => performance.now(),
      random = Math.random,
    }: { now?: () => number; random?: () => number } = {},
  ) {
    this.#intervalMs = intervalMs
    this.#now = now
    this.#random = random
  }

  /** Those whose time has come; each is due again an interval later, whatever becomes of it. One that is new gets a time within an interval. */
  due(keys: readonly Key[]): Key[] {
    const nowMs = this.#now()
    return keys.filter((key) => {
      const time = this.#times.get(key)
      if (time === undefined) {
        this.#times.set(key, { dueMs: nowMs + this.#random() * this.#intervalMs, heardInRow: 0 })
        return false
      }
      if (time.dueMs > nowMs) return false
      time.dueMs = this.#nextMs()
      return true
    })
  }

  /** Its other side has just shown that it is there. */
  heard(key: Key): void {
    const time = this.#times.get(key)
    // One that is new is measured first.
    if (time === undefined || time.heardInRow >= HEARD_IN_ROW) return
    time.heardInRow += 1
    time.dueMs = this.#nextMs()
  }

  /** It was pinged and has answered. */
  measured(key: Key): void {
    const time = this.#times.get(key)
    if (time === undefined) return
    time.heardInRow = 0
    time.dueMs = this.#nextMs()
  }

  #nextMs(): number {
    return this.#now() + this.#intervalMs * (1 - this.#random() * JITTER)
  }
}
