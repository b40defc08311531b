import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createPeerHistory, type PeerHistory } from '../../../src/network/index.ts'
import { openState } from '../../../src/storage/state/index.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { quietLogger } from '../../support/network.ts'

const DAY_MS = 24 * 3_600_000

let home: string
let state: StateDatabase
let nowMs: number
let log: ReturnType<typeof quietLogger>

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'p2pnode-history-'))
  log = quietLogger()
  state = await openState({ path: join(home, 'state.db'), log })
  nowMs = Date.UTC(2026, 10, 26)
})
afterEach(async () => {
  await state.close()
  await rm(home, { recursive: true, force: true })
})

function open(retentionMs = 30 * DAY_MS): PeerHistory {
  const history = createPeerHistory({ state, log, retentionMs, now: () => nowMs })
  history.start()
  return history
}

/** Stops and begins again, as a restart does. */
function reopened(history: PeerHistory): PeerHistory {
  history.stop()
  return open()
}

describe('the history of peers', () => {
  it('remembers over a restart who was there, where, how often, and what moved', () => {
    let history = open()
    history.connected('a', '/ip4/192.0.2.1/tcp/4700')
    history.identified('a', { agent: 'p2pnode/1', addresses: ['/ip4/192.0.2.1/tcp/4701/ws'] })
    nowMs += 1_000
    history.moved('a', 'in', 100)
    history.moved('a', 'in', 100)
    history.moved('a', 'out', 7)
    history.disconnected('a', 12)
    history = reopened(history)
    history.failed('a')
    history = reopened(history)
    const known = {
      peer: 'a',
      addresses: ['/ip4/192.0.2.1/tcp/4700', '/ip4/192.0.2.1/tcp/4701/ws'],
      firstSeenMs: nowMs - 1_000,
      lastSeenMs: nowMs,
      successes: 1,
      failures: 1,
      failuresInRow: 1,
      bytesIn: 200,
      bytesOut: 7,
      latencyMs: 12,
      agent: 'p2pnode/1',
    }
    expect(history.get('a')).toEqual(known)
    history.connected('a', '/ip4/192.0.2.9/tcp/1')
    expect(reopened(history).get('a')).toMatchObject({
      addresses: ['/ip4/192.0.2.9/tcp/1', ...known.addresses],
      successes: 2,
      failures: 1,
      failuresInRow: 0,
    })
  })

  it('does not come to know peers by failing to reach them', () => {
    const history = open()
    history.failed('stranger')
    history.moved('stranger', 'in', 1)
    expect(history.get('stranger')).toBeUndefined()
    expect(history.recent(10)).toEqual([])
  })

  it('gives those first that answered last, and nobody without an address', () => {
    const history = open()
    for (const peer of ['old', 'newer', 'unreachable', 'came']) {
      nowMs += 1_000
      if (peer === 'came') history.connected(peer)
      else history.connected(peer, '/ip4/192.0.2.1/tcp/1')
    }
    history.failed('unreachable')
    expect(history.candidates(10).map(({ peer }) => peer)).toEqual(['newer', 'old', 'unreachable'])
    expect(history.candidates(1)).toHaveLength(1)
    expect(history.recent(2).map(({ peer }) => peer)).toEqual(['came', 'unreachable'])
  })

  it('keeps a bounded number of addresses, none endless', () => {
    const history = open()
    const many = Array.from({ length: 50 }, (_, index) => `/ip4/192.0.2.${index}/tcp/1`)
    history.connected('a', `/dns4/${'a'.repeat(600)}/tcp/1`)
    history.identified('a', { agent: 'x'.repeat(10_000), addresses: many })
    expect(history.get('a')?.addresses).toEqual(many.slice(0, 8))
    expect(history.get('a')?.agent).toHaveLength(128)
  })

  it('forgets who was away for long, and never the last of all', () => {
    let history = open()
    for (let index = 0; index < 200; index++) {
      nowMs += 1_000
      history.connected(`peer ${index}`, '/ip4/192.0.2.1/tcp/1')
    }
    nowMs += 31 * DAY_MS
    history = reopened(history)
    const left = history.recent(1_000)
    expect(left).toHaveLength(64)
    expect(left[0]?.peer).toBe('peer 199')
  })

  it('keeps a bounded number of peers', () => {
    let history = open()
    for (let index = 0; index < 10_300; index++) history.connected(`peer ${index}`)
    history = reopened(history)
    expect(history.recent(20_000)).toHaveLength(10_000)
    expect(log.warnings).toEqual([])
  })

  it('takes no harm from a clock that is a day off, either way', () => {
    let history = open()
    history.connected('a', '/ip4/192.0.2.1/tcp/1')
    nowMs += DAY_MS
    history = reopened(history)
    history.connected('b', '/ip4/192.0.2.2/tcp/1')
    nowMs -= DAY_MS
    history = reopened(history)
    // Seen in what is the future now: that counts as now, and heals with the next sight.
    expect(history.get('b')).toMatchObject({ firstSeenMs: nowMs, lastSeenMs: nowMs })
    nowMs += 60_000
    history.connected('b')
    nowMs += 60_000
    expect(reopened(history).get('b')).toMatchObject({
      firstSeenMs: nowMs - 60_000,
      lastSeenMs: nowMs - 60_000,
    })
    expect(history.candidates(10)).toHaveLength(2)
  })

  it('goes on where the disk refuses', async () => {
    const history = createPeerHistory({
      state: {
        db: state.db,
        writeRelaxed() {
          throw new Error('disk full')
        },
      },
      log,
      retentionMs: DAY_MS,
    })
    history.start()
    history.connected('a', '/ip4/192.0.2.1/tcp/1')
    history.stop()
    expect(log.warnings).toHaveLength(1)
  })
})
