import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CreditAccount } from '../../../protocols/shared/credit.ts'
import { CreditGrants } from '../../../protocols/shared/credit-grants.ts'
import { FairSlots } from '../../../protocols/shared/fair-slots.ts'
import { frame, FrameReader } from '../../../protocols/shared/framing.ts'
import { readVarint, varintLength, writeVarint } from '../../../protocols/shared/varint.ts'
import { Wakeup } from '../../../protocols/shared/wakeup.ts'

const never = new AbortController().signal

describe('varints', () => {
  it('read back as written', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (value) => {
        const bytes = new Uint8Array(8)
        const end = writeVarint(bytes, 1, value)
        expect(end).toBe(1 + varintLength(value))
        expect(readVarint(bytes.subarray(0, end), 1)).toEqual({ value, next: end })
        expect(readVarint(bytes.subarray(0, end - 1), 1)).toBeUndefined()
      }),
    )
  })

  it.each(['ffffffff7f', '8000', '808080808001', ''])('refuse %s', (hex) => {
    expect(readVarint(Buffer.from(hex, 'hex'), 0)).toBeUndefined()
  })
})

describe('frames', () => {
  /** A payload frame of these tests: 'P', two bytes of its header, then data. */
  function collect(): { reader: FrameReader; seen: string[] } {
    const seen: string[] = []
    let payload: Uint8Array
    const reader = new FrameReader({
      payloadOffset: (head) => (head[0] === 0x50 ? Math.min(3, head.length) : undefined),
      onMessage: (message) => seen.push(`m${Buffer.from(message).toString('hex')}`),
      onPayload: (header, bytes) => {
        seen.push(`h${Buffer.from(header).toString('hex')}`)
        payload = new Uint8Array(bytes)
        return payload
      },
      onPayloadEnd: () => seen.push(`p${Buffer.from(payload).toString('hex')}`),
    })
    return { reader, seen }
  }

  it('are the same however the stream is cut', () => {
    const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 600 }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(bodies, fc.array(fc.nat({ max: 700 })), (frames, cuts) => {
        const stream = Buffer.concat(frames.map((body) => frame(body)))
        const whole = collect()
        whole.reader.push(stream)
        const cut = collect()
        let at = 0
        for (const length of cuts) {
          cut.reader.push(stream.subarray(at, at + length))
          at += length
        }
        cut.reader.push(stream.subarray(at))
        expect(cut.seen).toEqual(whole.seen)
        expect(cut.reader.atBoundary).toBe(true)
        const ends = whole.seen.filter((line) => !line.startsWith('h'))
        expect(ends).toHaveLength(frames.length)
      }),
    )
  })

  it('know when they are cut off', () => {
    const { reader } = collect()
    reader.push(frame(new Uint8Array(100)).subarray(0, 50))
    expect(reader.atBoundary).toBe(false)
  })
})

describe('credit', () => {
  it('is waited for, in full', async () => {
    const account = new CreditAccount()
    account.add(5)
    let taken = false
    const taking = account.take(8, never).then(() => (taken = true))
    account.add(2)
    await Promise.resolve()
    expect(taken).toBe(false)
    account.add(4)
    await taking
    expect(account.available).toBe(3)
  })

  it('is not waited for any longer than the signal allows', async () => {
    const account = new CreditAccount()
    const stop = new AbortController()
    const taking = account.take(1, stop.signal)
    stop.abort(new Error('enough'))
    await expect(taking).rejects.toThrow('enough')
    account.add(1)
    expect(account.available).toBe(1)
  })

  it('never lets the sender have more than the window under way', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 200 }), (sizes) => {
        let granted = 0
        const window = new CreditGrants({
          windowBytes: 800,
          bandwidth: undefined,
          flow: { direction: 'in', peer: 'a', protocol: 'content' },
          grant: (bytes) => (granted += bytes),
          isWanted: () => true,
          signal: never,
        })
        granted = window.first()
        expect(granted).toBe(800)
        let received = 0
        for (const size of sizes) {
          if (received + size > granted) continue
          window.receive(size)
          received += size
          window.release(size)
          expect(window.outstanding).toBe(granted - received)
          expect(granted - received).toBeLessThanOrEqual(800)
        }
        expect(() => window.receive(granted - received + 1)).toThrow('more than it was granted')
      }),
    )
  })
})

describe('fair slots', () => {
  it('go round the groups, not to whoever asks most', async () => {
    const slots = new FairSlots(2, 2)
    await slots.acquire('greedy', never)
    await slots.acquire('greedy', never)
    const order: string[] = []
    const asked = ['greedy', 'greedy', 'greedy', 'modest', 'other'].map((name) =>
      slots.acquire(name, never).then(() => order.push(name)),
    )
    for (let turn = 0; turn < 5; turn++) {
      slots.release(order.length > 1 ? order[order.length - 2]! : 'greedy')
      await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(asked)
    expect(order.slice(0, 3).toSorted()).toEqual(['greedy', 'modest', 'other'])
  })

  it('have a bound for one group', async () => {
    const slots = new FairSlots(10, 2)
    await slots.acquire('a', never)
    await slots.acquire('a', never)
    let third = false
    const waiting = slots.acquire('a', never).then(() => (third = true))
    await slots.acquire('b', never)
    expect(third).toBe(false)
    slots.release('a')
    await waiting
    expect(slots.held).toBe(3)
  })

  it('are not lost when a waiter gives up', async () => {
    const slots = new FairSlots(1, 1)
    await slots.acquire('a', never)
    const stop = new AbortController()
    const waiting = slots.acquire('b', stop.signal)
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    slots.release('a')
    await slots.acquire('c', never)
    expect(slots.held).toBe(1)
  })
})

describe('a wakeup', () => {
  it('is not missed when it comes before the wait', async () => {
    const wakeup = new Wakeup()
    wakeup.notify()
    wakeup.notify()
    await wakeup.wait(never)
    const stop = AbortSignal.timeout(20)
    await expect(wakeup.wait(stop)).rejects.toThrow('timeout')
  })
})
