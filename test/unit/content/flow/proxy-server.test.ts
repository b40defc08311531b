import { describe, expect, it } from 'vitest'
import { ProxyService } from '../../../../src/content/flow/proxy-server.ts'
import { QUOTA_WINDOW_MS } from '../../../../src/content/flow/limits.ts'
import type { Step } from '../../../../src/content/flow/types.ts'
import { rawCid } from '../../../support/content-protocol.ts'

const bytes = Buffer.alloc(1_000, 7)
const cid = rawCid(bytes)
const never = new AbortController().signal

/** A step that brings the same bytes for everything, or nothing. */
const step = (name: Step['name'], brings: Uint8Array | undefined, asked: string[] = []): Step => ({
  name,
  headStartMs: 60_000,
  sources: () => [],
  open: () => ({
    async fetch() {
      asked.push(name)
      if (brings === undefined) throw new Error('nobody has it')
      return { bytes: brings, from: '' }
    },
    close() {},
  }),
})

function service(options: Partial<ConstructorParameters<typeof ProxyService>[0]> = {}): ProxyService {
  return new ProxyService({
    steps: () => [step('ipfs', bytes)],
    trust: { decide: () => ({ allowed: true }) },
    perPeer: { requests: 3, bytes: 10_000 },
    inAll: { requests: 5, bytes: 100_000 },
    ...options,
  })
}

const fetch = (from: ProxyService, peer = 'a'): Promise<Uint8Array | undefined> =>
  from.fetch(peer, cid, { root: cid, signal: never })

describe('who is fetched for', () => {
  it('is who is trusted, allowed, and asks no more than its share and the share of all', () => {
    const proxy = service()
    expect([1, 2, 3, 4].map(() => proxy.admits('a', cid))).toEqual([true, true, true, false])
    expect([1, 2, 3].map(() => proxy.admits('b', cid))).toEqual([true, true, false])
    const denied = service({ trust: { decide: () => ({ allowed: false, reason: 'deny-list' }) } })
    expect(denied.admits('a', cid)).toBe(false)
    expect(service({ steps: () => [] }).admits('a', cid)).toBe(false)
  })

  it('is counted by bytes too, and anew a day later', async () => {
    let nowMs = 0
    const proxy = service({ perPeer: { requests: 100, bytes: 1_500 }, now: () => nowMs })
    for (const _ of [1, 2]) {
      expect(proxy.admits('a', cid)).toBe(true)
      await fetch(proxy)
    }
    expect(proxy.admits('a', cid)).toBe(false)
    expect(proxy.admits('b', cid)).toBe(true)
    nowMs = QUOTA_WINDOW_MS
    expect(proxy.admits('a', cid)).toBe(true)
  })

  it('cannot make the memory of others go by coming under many names', () => {
    const proxy = service({ perPeer: { requests: 1, bytes: 1 }, inAll: { requests: 100_000, bytes: 1 } })
    for (let index = 0; index < 5_000; index += 1) proxy.admits(`peer-${index}`, cid)
    expect(proxy.admits('peer-4999', cid)).toBe(false)
  })
})

describe('what is brought', () => {
  it('is from the step that has it, which is asked first the next time', async () => {
    const asked: string[] = []
    const proxy = service({ steps: () => steps })
    const steps = [step('ipfs', undefined, asked), step('gateways', bytes, asked)]
    expect(await fetch(proxy)).toEqual(bytes)
    expect(await fetch(proxy)).toEqual(bytes)
    expect(asked).toEqual(['ipfs', 'gateways', 'gateways'])
  })

  it('is nothing where the bytes are wrong', async () => {
    expect(await fetch(service({ steps: () => [step('ipfs', Buffer.from('other'))] }))).toBeUndefined()
  })
})
