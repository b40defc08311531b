import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Status } from '../../../protocols/shared/status.ts'
import { MAX_SUBJECTS, RecommendationsRefusedError } from '../../../protocols/trust/index.ts'
import { RateLimits } from '../../../src/gossip/rate.ts'
import { Asker } from '../../../src/trust/recommend/asker.ts'
import {
  ASK_INTERVAL_MS,
  ASK_RATE,
  BUSY_PAUSE_MS,
  MAX_PAGES,
  REQUEST_RATE,
} from '../../../src/trust/recommend/limits.ts'
import { quietLogger } from '../../support/network.ts'

const TRUSTED = 5

async function newPeer(): Promise<PeerId> {
  return peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
}

let trusted: PeerId[]
let listener: (event: CustomEvent<{ peerId: PeerId }>) => void
/** By who was asked: about whom, each request one entry; for all pages an empty one. */
let asked: Map<string, string[][]>
/** Requests that a peer would not have answered, since there were too many. */
let refused: number
let pages: number
let busy: string | undefined
let asker: Asker

beforeEach(async () => {
  vi.useFakeTimers()
  trusted = await Promise.all(Array.from({ length: TRUSTED }, newPeer))
  asked = new Map()
  refused = 0
  pages = 1
  busy = undefined
  const answering = new RateLimits(100, Date.now)
  const note = (peer: PeerId, subjects: readonly PeerId[]): void => {
    const name = peer.toString()
    asked.set(name, [...(asked.get(name) ?? []), subjects.map(String)])
    if (!answering.take(name, REQUEST_RATE)) refused += 1
    if (busy === name) throw new RecommendationsRefusedError(name, Status.busy)
  }
  asker = new Asker({
    peers: {
      getPeers: () => trusted,
      addEventListener: (_, given) => {
        listener = given
      },
      removeEventListener() {},
    },
    exchange: {
      async ask(peer, since) {
        note(peer, [])
        return { recommendations: [], next: since + 1n, more: since + 1n < BigInt(pages) }
      },
      async askAbout(peer, subjects) {
        note(peer, subjects)
        return []
      },
    },
    isHeard: (peer) => trusted.some((each) => each.toString() === peer),
    isNew: (peer) => !trusted.some((each) => each.toString() === peer),
    hear() {},
    log: quietLogger(),
    now: Date.now,
  })
})
afterEach(() => {
  asker.stop()
  vi.useRealTimers()
})

const identified = (peerId: PeerId): void =>
  listener(new CustomEvent('peer:identify', { detail: { peerId } }))
const questionsAbout = (subject: PeerId): number =>
  [...asked.values()].flat().filter((subjects) => subjects.includes(subject.toString())).length

describe('asking what others have seen', () => {
  it('never goes over what a peer answers, however many newcomers come', async () => {
    const newcomers = await Promise.all(Array.from({ length: 300 }, newPeer))
    asker.start()
    for (const newcomer of newcomers) {
      identified(newcomer)
      await vi.advanceTimersByTimeAsync(2_000)
    }
    const most = ASK_RATE.burst + 600 * ASK_RATE.perSecond
    expect([...asked.values()].every((requests) => requests.length <= most)).toBe(true)
    // All of them share in it.
    expect(asked.size).toBe(TRUSTED)
    expect(refused).toBe(0)
    expect(newcomers.filter((each) => questionsAbout(each) > 0).length).toBeGreaterThan(30)
  })

  it('asks three about a newcomer, once, however often it says who it is', async () => {
    asker.start()
    const newcomer = await newPeer()
    for (let index = 0; index < 100; index += 1) {
      identified(newcomer)
      await vi.advanceTimersByTimeAsync(3_000)
    }
    expect(questionsAbout(newcomer)).toBe(3)
    await vi.advanceTimersByTimeAsync(ASK_INTERVAL_MS)
    identified(newcomer)
    await vi.advanceTimersByTimeAsync(3_000)
    expect(questionsAbout(newcomer)).toBe(6)
  })

  it('asks about many at once in few requests', async () => {
    asker.start()
    const newcomers = await Promise.all(Array.from({ length: 40 }, newPeer))
    for (const newcomer of newcomers) identified(newcomer)
    await vi.advanceTimersByTimeAsync(3_000)
    const requests = [...asked.values()].flat().filter(({ length }) => length > 0)
    expect(requests).toHaveLength(3 * Math.ceil(40 / MAX_SUBJECTS))
    expect(newcomers.every((each) => questionsAbout(each) === 3)).toBe(true)
  })

  it('takes all pages of a peer at once, and leaves it alone once it has too much to do', async () => {
    pages = MAX_PAGES
    busy = trusted[0]?.toString()
    asker.start()
    await vi.advanceTimersByTimeAsync(10)
    for (const peer of trusted)
      expect(asked.get(peer.toString())).toHaveLength(peer.toString() === busy ? 1 : MAX_PAGES)
    for (let index = 0; index < BUSY_PAUSE_MS / 10_000 - 1; index += 1) {
      identified(await newPeer())
      await vi.advanceTimersByTimeAsync(10_000)
    }
    expect(asked.get(busy ?? '')).toHaveLength(1)
    expect(refused).toBe(0)
    busy = undefined
    await vi.advanceTimersByTimeAsync(ASK_INTERVAL_MS)
    expect(asked.get(trusted[0]?.toString() ?? '')?.length).toBeGreaterThan(1)
  })
})
