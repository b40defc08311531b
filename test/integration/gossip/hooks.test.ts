import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { HookTimes } from '../../../src/gossip/hooks/courier.ts'
import { createHooks, type HooksOptions, type RunningHooks } from '../../../src/gossip/hooks/index.ts'
import { MAX_QUEUED_MESSAGES, MAX_REFUSALS } from '../../../src/gossip/hooks/limits.ts'
import type { AppMessage } from '../../../src/gossip/messages/types.ts'
import { checkHooks } from '../../../src/node/doctor.ts'
import { openState } from '../../../src/storage/state/index.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { quiet } from '../../support/content.ts'
import { eventually } from '../../support/network.ts'

interface Got {
  headers: IncomingMessage['headers']
  body: string
  text: string
}

/** Listens on loopback, keeps what comes, and answers as it is told to: with 200 by default. */
class Receiver {
  readonly got: Got[] = []
  answer: (got: Got, response: ServerResponse) => void = (_, response) => void response.end()
  url = ''
  readonly #server: Server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const body = Buffer.concat(parts).toString()
      const { data } = JSON.parse(body) as { data: { text: string } }
      const got = { headers: request.headers, body, text: data.text }
      this.got.push(got)
      this.answer(got, response)
    })
  })

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`
    return this
  }

  get texts(): string[] {
    return this.got.map(({ text }) => text)
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

let home: string
let state: StateDatabase
let receiver: Receiver
let hooks: RunningHooks
/** What is said reaches whoever is attached in the same turn, as from gossip. */
const hearers = new Map<string, Set<(message: AppMessage) => boolean>>()
const messages: HooksOptions['messages'] = {
  attach(topic, hear) {
    const ofTopic = hearers.get(topic) ?? new Set()
    hearers.set(topic, ofTopic.add(hear))
    return () => void ofTopic.delete(hear)
  },
}
let sequence = 0n
function say(text: string, topic = 'weather'): boolean[] {
  sequence += 1n
  const payload = Buffer.from(text)
  const message = {
    topic,
    sender: '12D3KooWsender',
    direct: false,
    sequence,
    timeMs: 1_000,
    payload,
    droppedBefore: 0,
  }
  return [...(hearers.get(topic) ?? [])].map((hear) => hear(message))
}

let clockMs = Date.now()
const start = (times: HookTimes = {}, over: HooksOptions['state'] = state): RunningHooks => {
  hooks = createHooks({
    state: over,
    messages,
    log: quiet,
    times: { firstPauseMs: 1, requestTimeoutMs: 2_000, ...times },
    now: () => clockMs,
  })
  hooks.start()
  return hooks
}

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'p2pnode-hooks-'))
  state = await openState({ path: join(home, 'state.db'), log: quiet })
  receiver = await new Receiver().start()
  hearers.clear()
  start()
})
afterEach(async () => {
  await hooks.stop()
  receiver.stop()
  await state.close()
  await rm(home, { recursive: true, force: true })
})

const add = () => hooks.add({ topic: 'weather', url: receiver.url })

describe('a hook', () => {
  it('is sent what is said under its topic, in order, signed as Standard Webhooks has it', async () => {
    const { secret, ...hook } = await add()
    expect(hook).toMatchObject({ id: 1, topic: 'weather', url: receiver.url, state: 'ok', queued: 0 })
    for (const text of ['sunny', 'rain', 'snow']) expect(say(text)).toEqual([true])
    say('nothing', 'news')
    await eventually('all are there', () => receiver.got.length === 3)
    expect(receiver.texts).toEqual(['sunny', 'rain', 'snow'])
    const [{ headers, body }] = receiver.got as [Got]
    const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
    const id = headers['webhook-id']
    const signed = `${id}.${headers['webhook-timestamp']}.${body}`
    expect(headers['webhook-signature']).toBe(
      `v1,${createHmac('sha256', key).update(signed).digest('base64')}`,
    )
    expect(new Set(receiver.got.map((got) => got.headers['webhook-id'])).size).toBe(3)
    expect(Math.abs(Number(headers['webhook-timestamp']) - clockMs / 1_000)).toBeLessThan(2)
    expect(JSON.parse(body)).toMatchObject({
      type: 'message',
      data: { topic: 'weather', sender: '12D3KooWsender', direct: false, text: 'sunny', data: 'c3Vubnk=' },
    })
    await eventually('it is counted', () => hooks.statistics().delivered === 3)
    expect(hooks.list()).toMatchObject([{ state: 'ok', delivered: 3, queued: 0, problem: null }])
    expect(JSON.stringify(hooks.list())).not.toContain(secret)
  })

  it('takes an address of HTTP and a good secret alone, 32 of them', async () => {
    for (const url of ['ftp://x/', 'nonsense', 'http://name:word@x/', `http://x/${'x'.repeat(3_000)}`])
      await expect(hooks.add({ topic: 'weather', url })).rejects.toMatchObject({ code: 'ERR_HOOK_URL' })
    for (const secret of [
      'whsec_',
      'whsec_c2hvcnQ=',
      Buffer.alloc(32).toString('base64'),
      `whsec_${'!'.repeat(40)}`,
    ])
      await expect(hooks.add({ topic: 'weather', url: receiver.url, secret })).rejects.toMatchObject({
        code: 'ERR_HOOK_SECRET',
      })
    await expect(hooks.add({ topic: 'a\nb', url: receiver.url })).rejects.toMatchObject({
      code: 'ERR_MESSAGE_TOPIC',
    })
    const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
    expect((await hooks.add({ topic: 'weather', url: receiver.url, secret })).secret).toBe(secret)
    for (let made = 1; made < 32; made += 1) await add()
    await expect(add()).rejects.toMatchObject({ code: 'ERR_HOOK_LIMIT' })
    await expect(hooks.remove(99)).rejects.toMatchObject({ code: 'ERR_HOOK_NOT_FOUND' })
    await expect(hooks.enable(99)).rejects.toMatchObject({ code: 'ERR_HOOK_NOT_FOUND' })
  })

  it('is sent the same again until it takes it, and nothing else before that', async () => {
    await add()
    let left = 3
    receiver.answer = (_, response) => void response.writeHead(left-- > 0 ? 500 : 204).end()
    say('first')
    say('second')
    await eventually('both were taken', () => hooks.statistics().delivered === 2)
    expect(receiver.texts).toEqual(['first', 'first', 'first', 'first', 'second'])
    expect(new Set(receiver.got.slice(0, 4).map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    expect(hooks.statistics()).toMatchObject({ failed: 3, delivered: 2, queued: 0 })
  })

  it('that refuses a message over and over gets the next one', async () => {
    await add()
    receiver.answer = ({ text }, response) => void response.writeHead(text === 'bad' ? 422 : 200).end()
    say('bad')
    say('good')
    await eventually('the good one was taken', () => hooks.statistics().delivered === 1)
    expect(receiver.texts).toEqual([...Array.from({ length: MAX_REFUSALS }, () => 'bad'), 'good'])
    expect(hooks.list()).toMatchObject([{ refused: 1, delivered: 1, state: 'ok' }])
  })

  it('is followed nowhere else, not read to an end that never comes, and not waited for', async () => {
    await hooks.stop()
    start({ requestTimeoutMs: 100 })
    await add()
    const answers: ((response: ServerResponse) => void)[] = [
      (response) => void response.writeHead(307, { location: `${receiver.url}/elsewhere` }).end(),
      // Never.
      () => {},
      // Much, and no end of it: its head has said all.
      (response) => void response.writeHead(200).write(Buffer.alloc(1_000_000)),
      // Slowly.
      (response) => response.writeHead(200).flushHeaders(),
    ]
    receiver.answer = (_, response) => (answers.shift() ?? ((last) => void last.end()))(response)
    say('one')
    await eventually(
      'a redirect is none',
      () => hooks.list()[0]?.problem?.includes('redirects') === true || receiver.got.length > 1,
    )
    say('two')
    say('three')
    await eventually('all were taken', () => hooks.statistics().delivered === 3)
    expect(receiver.texts).toEqual(['one', 'one', 'one', 'two', 'three'])
    expect(hooks.statistics().failed).toBe(2)
  })

  it('that takes nothing for long is disabled, says so, and goes on when it is enabled', async () => {
    await add()
    receiver.answer = (_, response) => {
      clockMs += 13 * 3_600_000
      response.writeHead(503).end()
    }
    say('lost for a day')
    await eventually('it is disabled', () => hooks.list()[0]?.state === 'disabled')
    expect(receiver.got).toHaveLength(3)
    expect(checkHooks({ hooks })).toMatchObject([{ state: 'warn', message: expect.stringContaining('503') }])
    expect(say('not heard')).toEqual([])
    await hooks.stop()
    start()
    expect(say('not heard')).toEqual([])
    receiver.answer = (_, response) => void response.end()
    expect(await hooks.enable(1)).toMatchObject({ state: 'ok', queued: 1 })
    await eventually('it was taken', () => hooks.statistics().delivered === 1)
    expect(receiver.texts.at(-1)).toBe('lost for a day')
    expect(checkHooks({ hooks })).toMatchObject([{ state: 'ok' }])

    receiver.answer = (_, response) => void response.writeHead(410).end()
    say('gone')
    await eventually('it has said that it is gone', () => hooks.list()[0]?.state === 'disabled')
  })

  it('keeps what waits over restarts, the newest of too much, and nothing once it is removed', async () => {
    await add()
    receiver.answer = () => {}
    say('under way')
    await eventually('it is under way', () => receiver.got.length === 1)
    for (let number = 0; number < MAX_QUEUED_MESSAGES; number += 1) say(String(number))
    expect(hooks.list()).toMatchObject([{ queued: MAX_QUEUED_MESSAGES, dropped: 1 }])
    const large = 'x'.repeat(48 * 1024)
    for (let number = 0; number < 200; number += 1) say(large)
    expect(hooks.statistics().queued).toBeLessThanOrEqual(174)
    await hooks.stop()

    receiver.answer = (_, response) => void response.end()
    start()
    await eventually('all that was kept was taken', () => hooks.statistics().queued === 0)
    expect(receiver.texts.at(-1)).toBe(large)

    receiver.answer = () => {}
    const before = receiver.got.length
    say('under way')
    await eventually('it is under way', () => receiver.got.length === before + 1)
    say('waits')
    expect(await hooks.remove(1)).toMatchObject({ id: 1, queued: 2 })
    expect(hooks.list()).toEqual([])
    expect(say('nobody')).toEqual([])
    expect(hooks.statistics().queued).toBe(0)
  })

  it('hears all that is said while it is enabled', async () => {
    await hooks.stop()
    const slow = Promise.withResolvers<void>()
    let isSlow = false
    start(
      {},
      {
        db: state.db,
        writeRelaxed: (work) => state.writeRelaxed(work),
        async write(work) {
          const done = await state.write(work)
          if (isSlow) await slow.promise
          return done
        },
      },
    )
    await add()
    receiver.answer = (_, response) => void response.writeHead(503).end()
    say('before')
    await eventually('it fails', () => hooks.list()[0]?.state === 'failing')
    isSlow = true
    const enabled = hooks.enable(1)
    await eventually('its failure is forgotten', () => hooks.list()[0]?.state === 'ok')
    receiver.answer = (_, response) => void response.end()
    expect(say('meanwhile')).toEqual([true])
    slow.resolve()
    await enabled
    await eventually('both were taken', () => hooks.statistics().delivered === 2)
    expect(new Set(receiver.texts)).toEqual(new Set(['before', 'meanwhile']))
  })

  it('is followed once however often it is enabled, and not at all once it is removed', async () => {
    await add()
    await Promise.all([hooks.enable(1), hooks.enable(1)])
    expect(say('once')).toEqual([true])
    await eventually('it was taken', () => hooks.statistics().delivered === 1)
    const ends = await Promise.allSettled([hooks.enable(1), hooks.remove(1), hooks.enable(1)])
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
    expect(ends[2]).toMatchObject({ reason: { code: 'ERR_HOOK_NOT_FOUND' } })
    expect([...hearers.values()].reduce((sum, { size }) => sum + size, 0)).toBe(0)
    expect(say('nobody')).toEqual([])
    expect(hooks.statistics().queued).toBe(0)
  })

  it('that is enabled while it gives up is tried again', async () => {
    await add()
    receiver.answer = (_, response) => void response.writeHead(410).end()
    say('gone')
    await eventually('it was asked', () => receiver.got.length === 1)
    // Beside what the answer makes of it.
    await hooks.enable(1)
    await eventually('it was asked again', () => receiver.got.length >= 2)
    await eventually('it is disabled in the end', () => hooks.list()[0]?.state === 'disabled')
    await eventually('nothing is followed', () => say('not heard').length === 0)
  })

  it('goes on where the disk has refused that it is enabled', async () => {
    await hooks.stop()
    let isFull = false
    start(
      { firstPauseMs: 60_000 },
      {
        db: state.db,
        writeRelaxed: (work) => state.writeRelaxed(work),
        async write(work) {
          if (isFull) throw new Error('the disk is full')
          return state.write(work)
        },
      },
    )
    await add()
    receiver.answer = (_, response) => void response.writeHead(503).end()
    say('waits')
    await eventually('it fails', () => hooks.list()[0]?.state === 'failing')
    receiver.answer = (_, response) => void response.end()
    isFull = true
    await expect(hooks.enable(1)).rejects.toThrow('the disk is full')
    await eventually('it was taken', () => hooks.statistics().delivered === 1)
  })

  it('goes on by itself after the disk has refused something', async () => {
    await hooks.stop()
    let refusals = 0
    start(
      {},
      {
        db: state.db,
        write: (work) => state.write(work),
        writeRelaxed(work) {
          if (refusals > 0) {
            refusals -= 1
            throw new Error('the disk is full')
          }
          return state.writeRelaxed(work)
        },
      },
    )
    await add()
    receiver.answer = (_, response) => {
      if (receiver.got.length === 1) refusals = 1
      response.end()
    }
    say('the only one')
    await eventually('it was taken', () => hooks.statistics().delivered === 1)
    expect(receiver.texts).toEqual(['the only one', 'the only one'])
    expect(hooks.statistics().queued).toBe(0)
  })
})
