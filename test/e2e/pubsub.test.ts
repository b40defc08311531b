import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Daemon, Lab } from '../support/daemon.ts'
import { eventually } from '../support/network.ts'

interface Heard {
  topic: string
  sender: string
  direct: boolean
  text: string | null
}

describe('pubsub', () => {
  const lab = new Lab()
  let a: Daemon
  let b: Daemon
  beforeAll(async () => {
    a = await lab.daemon()
    b = await lab.daemon()
    await a.json(['connect', b.address])
  })
  afterAll(() => lab.close())

  const listeners = async (): Promise<string[]> =>
    (await a.json<{ peers: string[] }>(['pubsub', 'peers', 'weather'])).peers

  it('what one says others hear, and one peer alone', async () => {
    const listening = b.run(['pubsub', 'sub', 'weather', '--count', '2', '--json'])
    await eventually('b listens', async () => (await listeners()).includes(b.ready.peerId))
    const { topics } = await b.json<{ topics: unknown[] }>(['pubsub', 'topics'])
    expect(topics).toEqual([{ topic: 'weather', listeners: 1 }])

    expect(await a.json(['pubsub', 'pub', 'weather', 'sunny'])).toEqual({
      topic: 'weather',
      to: null,
      neighbours: 1,
    })
    const private_ = await a.run(['pubsub', 'pub', 'weather', '--to', b.ready.peerId, '--json'], {
      input: 'rain',
    })
    expect(private_.code).toBe(0)
    const { stdout, code } = await listening
    expect(code).toBe(0)
    const heard = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Heard)
    expect(heard).toEqual([
      expect.objectContaining({ topic: 'weather', sender: a.ready.peerId, direct: false, text: 'sunny' }),
      expect.objectContaining({ topic: 'weather', sender: a.ready.peerId, direct: true, text: 'rain' }),
    ])
  })

  it('is told over server-sent events as well', async () => {
    const headers = { authorization: `Bearer ${await b.token()}`, accept: 'text/event-stream' }
    const response = await fetch(`${b.ready.api}/api/v1/messages?topic=news`, { headers })
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader.read()).value).toBe(':\n\n')
    await eventually('b listens', async () =>
      (await a.json<{ peers: string[] }>(['pubsub', 'peers', 'news'])).peers.includes(b.ready.peerId),
    )
    await a.json(['pubsub', 'pub', 'news', 'hello'])
    const { value = '' } = await reader.read()
    expect(value).toMatch(/^event: message\ndata: \{.*"text":"hello".*\}\n\n$/)
    await reader.cancel()
    await eventually('nobody listens', async () => {
      const { topics } = await b.json<{ topics: unknown[] }>(['pubsub', 'topics'])
      return topics.length === 0
    })
  })

  it('is sent to a webhook, again after kill -9 where it was not taken', async () => {
    const ids: unknown[] = []
    let takes = false
    const receiver = createServer((request, response) => {
      ids.push(request.headers['webhook-id'])
      // One that does not answer leaves the message where it is.
      if (takes) response.end()
    })
    receiver.listen(0, '127.0.0.1')
    await once(receiver, 'listening')
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`
    const added = await b.json(['pubsub', 'hook', 'add', 'alarm', url])
    expect(added).toMatchObject({ id: 1, url, state: 'ok', secret: expect.stringMatching(/^whsec_/) })
    await eventually('b listens', async () =>
      (await a.json<{ peers: string[] }>(['pubsub', 'peers', 'alarm'])).peers.includes(b.ready.peerId),
    )
    await a.json(['pubsub', 'pub', 'alarm', 'fire', '--to', b.ready.peerId])
    await eventually('it is under way', () => ids.length === 1)
    expect(await b.json(['status'])).toMatchObject({ hooks: { total: 1, failing: 0, disabled: 0 } })
    await b.kill()
    receiver.closeAllConnections()
    takes = true
    b = await lab.daemon({ home: b.home })
    await eventually('it was sent again', () => ids.length === 2)
    expect(ids[1]).toBe(ids[0])
    await eventually('it was taken', async () => {
      const { hooks } = await b.json<{ hooks: { delivered: number; queued: number }[] }>([
        'pubsub',
        'hook',
        'ls',
      ])
      return hooks[0]?.delivered === 1 && hooks[0].queued === 0
    })
    await b.json(['pubsub', 'hook', 'rm', '1'])
    const missing = await b.run(['pubsub', 'hook', 'enable', '1', '--json'])
    expect(missing).toMatchObject({ code: 4 })
    receiver.closeAllConnections()
    receiver.close()
    await a.json(['connect', b.address])
  })

  it('says what is wrong', async () => {
    const refused: [string[], number, string][] = [
      [['pub', 'weather', 'x', '--to', b.ready.peerId], 6, 'ERR_MESSAGE_REFUSED'],
      [['pub', 'weather', 'x', '--to', 'nobody'], 2, 'ERR_PEER_INVALID'],
      [['pub', 'a\nb', 'x'], 2, 'ERR_MESSAGE_TOPIC'],
      [['pub', '', 'x'], 2, 'ERR_REQUEST_INVALID'],
    ]
    for (const [args, exitCode, errorCode] of refused) {
      const result = await a.run(['pubsub', ...args, '--json'])
      expect(result.code, args.join(' ')).toBe(exitCode)
      expect(result.json()).toMatchObject({ error: { code: errorCode } })
    }
    const large = await a.run(['pubsub', 'pub', 'weather', '--json'], { input: 'x'.repeat(50_000) })
    expect(large.json()).toMatchObject({ error: { code: 'ERR_MESSAGE_TOO_LARGE' } })
    const body = JSON.stringify({ topic: 'weather', data: 'no base64!' })
    const headers = { authorization: `Bearer ${await a.token()}`, 'content-type': 'application/json' }
    const answer = await fetch(`${a.ready.api}/api/v1/messages`, { method: 'POST', headers, body })
    expect(await answer.json()).toMatchObject({ error: { code: 'ERR_MESSAGE_ENCODING' } })
  })
})
