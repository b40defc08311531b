import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EVENT_RING_EVENTS, MAX_EVENT_CLIENTS } from '../../../src/api/limits.ts'
import { Client, type NodeEvent } from '../../../src/client/index.ts'
import { call, rawConnection } from '../../support/api-calls.ts'
import { type ApiBench, openApi } from '../../support/api-server.ts'
import { until } from '../../support/jobs.ts'

let bench: ApiBench
let client: Client
beforeEach(async () => {
  bench = await openApi({ timeouts: { eventHeartbeatMs: 50 } })
  client = new Client({ url: bench.url, token: bench.token })
})
afterEach(async () => {
  client.close()
  await bench[Symbol.asyncDispose]()
})

/** Events of one connection until one fits. */
async function listenUntil(
  options: { topics?: ('jobs' | 'peers' | 'storage')[]; lastEventId?: string },
  fits: (event: NodeEvent) => boolean,
  whenConnected?: () => void,
): Promise<NodeEvent[]> {
  const over = new AbortController()
  const events: NodeEvent[] = []
  for await (const event of client.events({
    ...options,
    onConnected: () => whenConnected?.(),
    signal: AbortSignal.any([over.signal, AbortSignal.timeout(8000)]),
    reconnect: false,
  })) {
    events.push(event)
    if (fits(event)) over.abort()
  }
  return events
}

const runJob = async (address = 'bafy'): Promise<string> => {
  const { id } = await bench.jobs.submit('get', { address })
  await until(bench.jobs, id, ({ endedAtMs }) => endedAtMs !== null)
  return id
}

describe('events', () => {
  it('tell of jobs and peers as it happens, with ids that count up', async () => {
    const events = await listenUntil(
      {},
      ({ event, data }) => event === 'job' && data.state === 'done',
      () => void bench.network.connect('/ip4/127.0.0.1/tcp/1').then(() => runJob()),
    )
    expect(events).toContainEqual(
      expect.objectContaining({ event: 'peer', data: expect.objectContaining({ type: 'connected' }) }),
    )
    const numbers = events.map(({ id }) => Number(id?.split('-')[1]))
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
  })

  it('may be chosen by topic', async () => {
    const events = await listenUntil(
      { topics: ['jobs'] },
      ({ event, data }) => event === 'job' && data.state === 'done',
      () => void bench.network.connect('/ip4/127.0.0.1/tcp/1').then(() => runJob()),
    )
    expect(new Set(events.map(({ event }) => event))).toEqual(new Set(['job']))
    expect((await call(bench, 'GET', '/api/v1/events?topics=jobs,weather')).status).toBe(400)
  })

  it('tell when the health changes', async () => {
    const events = await listenUntil(
      { topics: ['storage'] },
      ({ event, data }) => event === 'status' && data.health === 'degraded',
      () => {
        bench.health.state = 'degraded'
      },
    )
    expect(events.at(-1)).toMatchObject({ data: { health: 'degraded', storage: { pins: 0 } } })
  })

  it('go on after the last one that was seen', async () => {
    const isDone = (event: NodeEvent): boolean => event.event === 'job' && event.data.state === 'done'
    const first = await listenUntil({ topics: ['jobs'] }, isDone, () => void runJob('first'))
    await runJob('second')
    const lastEventId = first.at(-1)?.id ?? ''
    const missed = await listenUntil({ topics: ['jobs'], lastEventId }, isDone)
    expect(
      missed.every(({ data }) => (data as { params: { address: string } }).params.address === 'second'),
    ).toBe(true)
    expect(Number(missed[0]?.id?.split('-')[1])).toBe(Number(lastEventId.split('-')[1]) + 1)
  })

  it.each(['other-1', 'nonsense', '-', ''])(
    'begin with reset after the unknown id %j',
    async (lastEventId) => {
      const [first] = await listenUntil({ lastEventId }, () => true)
      expect(first).toMatchObject({ event: 'reset' })
    },
  )

  it('begin with reset where too many were missed, and resume from there', async () => {
    const isConnected = (event: NodeEvent): boolean =>
      event.event === 'peer' && event.data.type === 'connected'
    const [first] = await listenUntil(
      { topics: ['peers'] },
      isConnected,
      () => void bench.network.connect('/x'),
    )
    for (let count = 0; count <= EVENT_RING_EVENTS / 2; count += 1) {
      await bench.network.disconnect([...bench.network.connected.keys()][0] ?? '')
      await bench.network.connect('/x')
    }
    const [reset] = await listenUntil({ topics: ['peers'], lastEventId: first?.id ?? '' }, () => true)
    expect(reset).toMatchObject({ event: 'reset' })
    const next = await listenUntil(
      { topics: ['peers'], lastEventId: reset?.id ?? '' },
      () => true,
      () => void bench.network.connect('/x'),
    )
    expect(next[0]?.event).toBe('peer')
  })

  it('report progress of a job a few times a second, and its end at once', async () => {
    bench.jobs.register({
      kind: 'busy',
      concurrency: 1,
      resumable: false,
      title: () => 'busy',
      run: async ({ progress }) => {
        for (let done = 0; done < 2_000; done += 1) {
          progress({ done, unit: 'blocks' })
          if (done % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
        }
        return null
      },
    })
    const events = await listenUntil(
      { topics: ['jobs'] },
      ({ data, event }) => event === 'job' && data.endedAtMs !== null,
      () => {
        void bench.jobs.submit('busy', {})
      },
    )
    expect(events.length).toBeLessThan(20)
    expect(events.at(-1)).toMatchObject({ data: { state: 'done' } })
  })

  it('keep a quiet connection alive with comments', async () => {
    const connection = await rawConnection(bench)
    connection.send(
      `GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${bench.token}\r\n\r\n`,
    )
    expect(await connection.until(/:\n\n[\s\S]*:\n\n/)).toMatch(/content-type: text\/event-stream/)
    connection.socket.destroy()
  })
})

describe('who listens', () => {
  const listen = async (): Promise<Socket> => {
    const socket = connect(bench.port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(
      `GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${bench.token}\r\n\r\n`,
    )
    await new Promise((resolve) => socket.once('data', resolve))
    return socket
  }

  it('without reading is dropped, and the others are not', async () => {
    const slow = await listen()
    slow.pause()
    const isLast = ({ event, data }: NodeEvent): boolean => event === 'peer' && data.peer === 'last'
    const over = new AbortController()
    const connected = Promise.withResolvers<void>()
    const lastSeen = Promise.withResolvers<void>()
    const reading = (async () => {
      const options = { topics: ['peers' as const], signal: over.signal, reconnect: false }
      for await (const event of client.events({ ...options, onConnected: connected.resolve }))
        if (isLast(event)) lastSeen.resolve()
    })()
    await connected.promise
    const openStreams = async (): Promise<string | undefined> =>
      /p2pnode_api_event_clients (\d+)/.exec((await call(bench, 'GET', '/metrics')).text)?.[1]
    expect(await openStreams()).toBe('2')
    // More than the kernel takes for the slow one, and then more than its queue.
    let sent = 0
    while ((await openStreams()) === '2') {
      for (let count = 0; count < 8; count += 1, sent += 1) {
        bench.network.emit({ type: 'connected', peer: 'x'.repeat(60_000) })
      }
      expect(sent).toBeLessThan(1_000)
    }
    expect(await openStreams()).toBe('1')
    bench.network.emit({ type: 'connected', peer: 'last' })
    await lastSeen.promise
    over.abort()
    await reading
    slow.destroy()
  })

  it('beyond the bound is refused', async () => {
    const sockets = await Promise.all(Array.from({ length: MAX_EVENT_CLIENTS }, listen))
    const refused = await call(bench, 'GET', '/api/v1/events')
    expect([refused.status, refused.json]).toMatchObject([
      429,
      { error: { code: 'ERR_TOO_MANY_EVENT_STREAMS' } },
    ])
    sockets.pop()?.destroy()
    while ((await call(bench, 'GET', '/metrics')).text.includes(`event_clients ${MAX_EVENT_CLIENTS}\n`));
    sockets.push(await listen())
    for (const socket of sockets) socket.destroy()
  })
})
