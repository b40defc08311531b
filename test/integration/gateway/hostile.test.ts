import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ContentService } from '../../../src/content/types.ts'
import { createBandwidth } from '../../../src/network/bandwidth/index.ts'
import { bandwidthLimits, free } from '../../support/bandwidth.ts'
import { until } from '../../support/content-node.ts'
import {
  ask,
  blockOf,
  cborBlock,
  directory,
  fileOf,
  type GatewayBench,
  type MadeBlock,
  openGateway,
  put,
  rawBlock,
} from '../../support/gateway.ts'

const MIB = 1024 * 1024
const hello = rawBlock('hello')
const part = rawBlock(new Uint8Array(MIB).fill(7))
/** 256 MiB made of one block. */
const large = fileOf(Array.from({ length: 256 }, () => part))

let bench: GatewayBench
beforeAll(async () => {
  bench = await openGateway({
    settings: { maxRequests: 4 },
    timeouts: { headersMs: 300, checkingIntervalMs: 50, downloadStallMs: 300, closeGraceMs: 200 },
  })
  await put(bench.node, hello, part, large)
})
afterAll(() => bench.close())

async function open(line: string, port = bench.port, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress })
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(line)
  return socket
}
const lineOf = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${more}\r\n`
const openRequests = async (): Promise<number> => {
  const text = await bench.metrics.text()
  return Number(/^p2pnode_gateway_requests_open (\d+)$/m.exec(text)?.[1])
}
const isIdle = async (): Promise<void> => {
  while ((await openRequests()) > 0) await setImmediate()
}

/** Reads what is not there for as long as it is waited for. */
function neverContent(): Pick<ContentService, 'blocks'> & { signals: AbortSignal[] } {
  const signals: AbortSignal[] = []
  return {
    signals,
    blocks: () => ({
      get: (_cid, signal) => {
        signals.push(signal)
        return new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as Error)),
        )
      },
      close: async () => {},
    }),
  }
}

describe('clients that do not read', () => {
  it('are dropped, and until then cost little of a large file', async () => {
    const before = process.memoryUsage().rss
    const sockets = await Promise.all(Array.from({ length: 4 }, () => open(lineOf(`/ipfs/${large.cid}`))))
    for (const socket of sockets) socket.pause()
    await Promise.all(
      sockets.map((socket) => once(socket.resume().pause(), 'readable').catch(() => {})),
    ).catch(() => {})
    const most = process.memoryUsage().rss - before
    expect(most).toBeLessThan(200 * MIB)
    await isIdle()
    for (const socket of sockets) socket.destroy()
    const text = await bench.metrics.text()
    const sent = Number(/^p2pnode_gateway_bytes_total\{route="file"\} (\d+)$/m.exec(text)?.[1])
    expect(sent).toBeLessThan(4 * 32 * MIB)
  })

  it('and those that leave are forgotten at once', async () => {
    const socket = await open(lineOf(`/ipfs/${large.cid}`))
    await once(socket, 'data')
    expect(await openRequests()).toBe(1)
    socket.destroy()
    await isIdle()
  })

  it('leave, and the search for what they wanted ends', async () => {
    const content = neverContent()
    const { port } = await bench.another({ content })
    const socket = await open(lineOf(`/ipfs/${hello.cid}`), port)
    while (content.signals.length === 0) await setImmediate()
    socket.destroy()
    const [signal] = content.signals
    if (signal?.aborted === false) await once(signal, 'abort')
    expect(signal?.aborted).toBe(true)
  })
})

describe('too much at a time', () => {
  it('is told to come later', async () => {
    const { port } = await bench.another({ content: neverContent(), settings: { maxRequests: 2 } })
    const held = await Promise.all([1, 2].map(() => open(lineOf(`/ipfs/${hello.cid}`), port)))
    const refused = await ask(port, `/ipfs/${hello.cid}`)
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, '5'])
    for (const socket of held) socket.destroy()
    await until(async () => (await ask(port, '/')).status === 404)
  })

  it('for one address is told so, and others are answered; too many connections of it are closed', async () => {
    const { port } = await bench.another({
      content: neverContent(),
      settings: { maxRequests: 10, maxRequestsPerAddress: 2 },
      isCounted: () => true,
    })
    const held = await Promise.all([1, 2].map(() => open(lineOf(`/ipfs/${hello.cid}`), port)))
    await until(async () => (await ask(port, '/')).status === 429)
    const other = await open(lineOf('/'), port, '127.0.0.2')
    const [answer] = (await once(other, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 404 /)

    const idle = await Promise.all(Array.from({ length: 40 }, () => open('', port)))
    for (const socket of idle) socket.resume()
    await until(() => idle.filter((socket) => socket.destroyed || socket.readableEnded).length >= 8)
    for (const socket of [...held, ...idle, other]) socket.destroy()
    await until(async () => (await ask(port, '/').catch(() => undefined))?.status === 404)
  })

  it('of waiting ends with 504', async () => {
    const { port } = await bench.another({ content: neverContent(), settings: { timeoutMs: 100 } })
    const late = await ask(port, `/ipfs/${hello.cid}`)
    expect([late.status, late.headers['retry-after']]).toEqual([504, '5'])
  })

  it('of a head is refused', async () => {
    const socket = await open(lineOf('/ipfs/x', `X: ${'a'.repeat(20_000)}\r\n`))
    const [data] = (await once(socket, 'data')) as [Buffer]
    expect(data.toString()).toMatch(/^HTTP\/1\.1 431 /)
  })

  it('of time for a head ends the connection', async () => {
    const socket = await open('GET /ipfs/')
    await once(socket.resume(), 'close')
  })

  it('stops with the gateway', async () => {
    const { port, gateway } = await bench.another({ content: neverContent(), timeouts: { closeGraceMs: 50 } })
    const socket = await open(lineOf(`/ipfs/${hello.cid}`), port)
    const ended = new Promise((resolve) => socket.resume().once('close', resolve))
    await gateway.close()
    await gateway.close()
    await ended
  })
})

describe('requests that make no sense', () => {
  it.each([
    `/ipfs/${hello.cid}/..`,
    `/ipfs/${hello.cid}/%2e%2e/%2e%2e/etc/passwd`,
    `/ipfs/${hello.cid}/..%2f..%2fetc`,
    `/ipfs/${hello.cid}/%00`,
    `/ipfs/${hello.cid}/%`,
    `/ipfs/${hello.cid}/%c3%28`,
    `/ipfs/${hello.cid}/${'a/'.repeat(65)}`,
    '/ipfs/%00',
    '/ipfs/../../etc/passwd',
    '/ipns/..',
    `/ipfs/${'Qm'.repeat(2000)}`,
    '/ipfs/?uri=ipfs://',
  ])('%s is refused', async (path) => {
    const { status, text } = await ask(bench.port, path)
    expect(status).toBe(400)
    expect(text.length).toBeLessThan(1_000)
  })

  it.each([
    '*/*',
    'a'.repeat(8_000),
    ',;,;q=,;=',
    'application/vnd.ipld.car;dups="',
    '\u00ff',
    'text/html;q=0,'.repeat(500),
  ])('an Accept of %j does no harm', async (accept) => {
    const { status } = await ask(bench.port, `/ipfs/${hello.cid}`, { headers: { accept } })
    expect([200, 406]).toContain(status)
  })

  it('bytes that are no HTTP get one short answer', async () => {
    const socket = await open('\x16\x03\x01\x00\xa5 not http\r\n\r\n')
    const [data] = (await once(socket, 'data')) as [Buffer]
    expect(data.toString()).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('a tunnel within a tunnel is none', async () => {
    const tunnel = 'CONNECT a.example:1 HTTP/1.1\r\nHost: a.example:1\r\n\r\n'
    const socket = await open(tunnel)
    await once(socket, 'data')
    socket.write(tunnel)
    await once(socket.resume(), 'close')
  })
})

describe('content that is made to harm', () => {
  it('codecs that nobody knows are given as blocks alone', async () => {
    const strange = blockOf(0x1234, 'strange')
    await put(bench.node, strange)
    expect((await ask(bench.port, `/ipfs/${strange.cid}`)).status).toBe(406)
    expect((await ask(bench.port, `/ipfs/${strange.cid}/x`)).status).toBe(404)
    expect((await ask(bench.port, `/ipfs/${strange.cid}?format=raw`)).text).toBe('strange')
    expect((await ask(bench.port, `/ipfs/${strange.cid}?format=car`)).status).toBe(200)
  })

  it('blocks that are not what their codec says are the fault of the request', async () => {
    const wrong = blockOf(0x70, 'this is not dag-pb')
    const cbor = blockOf(0x71, 'nor is this dag-cbor')
    await put(bench.node, wrong, cbor)
    for (const path of [`/ipfs/${wrong.cid}`, `/ipfs/${wrong.cid}/x`, `/ipfs/${cbor.cid}/x`]) {
      expect((await ask(bench.port, path)).status).toBe(400)
    }
  })

  it('files whose sizes lie end the connection, not the answer', async () => {
    const lying = fileOf([hello, hello], [5, 500])
    await put(bench.node, lying)
    await expect(ask(bench.port, `/ipfs/${lying.cid}`)).rejects.toThrow(/aborted|hang up|ECONNRESET/)
  })

  it('a DAG with more paths than anybody could walk is sent once, and with duplicates only as far as it is read', async () => {
    let top: MadeBlock = cborBlock('bottom')
    await put(bench.node, top)
    for (let level = 0; level < 60; level += 1) {
      top = cborBlock([level, top.cid, top.cid])
      await put(bench.node, top)
    }
    expect((await ask(bench.port, `/ipfs/${top.cid}?format=car`)).status).toBe(200)
    const socket = await open(lineOf(`/ipfs/${top.cid}?format=car&car-dups=y`))
    socket.pause()
    await isIdle()
    socket.destroy()
  })

  it('a DAG that is deeper than any is cut off', async () => {
    let top: MadeBlock = cborBlock('bottom')
    const blocks = [top]
    for (let level = 0; level < 300; level += 1) blocks.push((top = cborBlock([level, top.cid])))
    await put(bench.node, ...blocks)
    await expect(ask(bench.port, `/ipfs/${top.cid}?format=car`)).rejects.toThrow(/aborted|hang up|ECONNRESET/)
    expect((await ask(bench.port, `/ipfs/${top.cid}/${'1/'.repeat(40)}?format=raw`)).status).toBe(200)
  })

  it('a directory of many entries is a page of bounded length', async () => {
    const entries = Array.from({ length: 10_500 }, (_, index) => [`f${index}`, hello] as const)
    const many = directory(entries)
    await put(bench.node, many)
    const { text } = await ask(bench.port, `/ipfs/${many.cid}/`)
    expect(text.match(/<tr>/g)?.length).toBe(10_001)
    expect(text).toContain('and more')
  })
})

describe('bandwidth', () => {
  it('holds for the gateway, by what it sends and for each address', async () => {
    const limits = bandwidthLimits({
      protocols: {
        content: free,
        bitswap: free,
        chunk: free,
        torrent: free,
        reconcile: free,
        gateway: { inBytesPerSecond: Infinity, outBytesPerSecond: 4 * MIB },
      },
    })
    const moved: string[] = []
    const bandwidth = createBandwidth({
      limits,
      onMoved: ({ peer, protocol }) => moved.push(`${protocol} ${peer}`),
    })
    const { port } = await bench.another({ bandwidth })
    const { body } = await ask(port, `/ipfs/${large.cid}`, { headers: { range: `bytes=0-${3 * MIB - 1}` } })
    expect(body.length).toBe(3 * MIB)
    const [statistics] = bandwidth.statistics()
    expect(statistics).toMatchObject({ direction: 'out', protocol: 'gateway', bytes: 3 * MIB })
    expect(statistics?.waits).toBeGreaterThan(3)
    expect(new Set(moved)).toEqual(new Set(['gateway http:127.0.0.1']))
    bandwidth.stop()
  })
})

describe('metrics', () => {
  it('tell kinds of answers, and nothing of what was asked', async () => {
    await ask(bench.port, `/ipfs/${hello.cid}`)
    await ask(bench.port, '/ipfs/nonsense')
    await isIdle()
    const text = await bench.metrics.text()
    expect(text).toMatch(/p2pnode_gateway_request_duration_seconds_count\{route="file",status="200"\} \d/)
    expect(text).toMatch(/p2pnode_gateway_request_duration_seconds_count\{route="other",status="400"\} \d/)
    expect(text).toMatch(/p2pnode_gateway_first_byte_seconds_count\{route="file",status="200"\} \d/)
    expect(text).not.toContain(hello.cid.toString())
  })
})
