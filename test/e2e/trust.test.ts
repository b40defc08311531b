import { identify } from '@libp2p/identify'
import type { Libp2p } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import Database from 'better-sqlite3'
import { createLibp2p } from 'libp2p'
import { join } from 'node:path'
import { pEvent } from 'p-event'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { Lab } from '../support/daemon.ts'
import { eventually } from '../support/network.ts'

interface Report {
  score: number
  honesty: number
  bannedUntilMs: number | null
  totals: { kind: string; count: number }[]
  decisions: { action: string; allowed: boolean }[]
  recommendations: { by: string; view: string }[]
}

const CONTENT = '/p2pnode/main/content/1.0.0'

describe('trust', () => {
  const lab = new Lab()
  let stranger: Libp2p | undefined
  afterEach(() => stranger?.stop())
  afterAll(() => lab.close())

  it('a peer that sends garbage is disconnected, refused on return, explained, and let back by the operator; who trusts the node hears of it', async () => {
    const node = await lab.daemon()
    const [friend, other] = [
      await lab.daemon({ bootstrap: [node.address] }),
      await lab.daemon({ bootstrap: [node.address] }),
    ]
    await friend.json(['trust', 'set', node.ready.peerId, '0.9'])
    stranger = await createLibp2p({
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      services: { identify: identify() },
    })
    const peer = stranger.peerId.toString()
    const address = multiaddr(node.address)
    const signal = AbortSignal.timeout(30_000)
    const connection = await stranger.dial(address, { signal })
    const closed = pEvent(connection, 'close', { signal })
    for (let round = 0; round < 5; round += 1) {
      const stream = await connection.newStream(CONTENT, { signal }).catch(() => undefined)
      if (stream === undefined) break
      const ended = pEvent(stream, 'close', { signal })
      stream.send(new Uint8Array(64).fill(0xff))
      await ended
    }
    await closed

    const report = await node.json<Report>(['trust', 'show', peer])
    expect(report.honesty).toBeLessThan(0.1)
    expect(report.bannedUntilMs).toBeGreaterThan(Date.now())
    expect(report.totals).toContainEqual(expect.objectContaining({ kind: 'protocol-violation', count: 5 }))
    expect(report.decisions).toContainEqual(expect.objectContaining({ action: 'accept', allowed: false }))
    // The handshake proves who it is; then the connection ends.
    const again = await stranger.dial(address, { signal }).catch(() => undefined)
    if (again !== undefined && again.status === 'open') await pEvent(again, 'close', { signal })
    const { peers } = await node.json<{ peers: { peer: string }[] }>(['peers'])
    const others = [friend.ready.peerId, other.ready.peerId].toSorted()
    expect(peers.map(({ peer }) => peer).toSorted()).toEqual(others)

    // Damped: one that is trusted moves the score by a tenth at most, and nobody else hears it as anything.
    let heard: Report | undefined
    await eventually(
      'the friend has heard',
      async () => {
        heard = await friend.json<Report>(['trust', 'show', peer])
        return heard.score < 0.5
      },
      20_000,
    )
    expect(heard?.score).toBeGreaterThanOrEqual(0.4)
    expect(heard?.recommendations.map(({ by }) => by)).toContain(node.ready.peerId)
    expect((await other.json<Report>(['trust', 'show', peer])).score).toBe(0.5)

    await node.json(['trust', 'set', peer, '0.5'])
    const welcome = await stranger.dial(address, { signal })
    await welcome.newStream(CONTENT, { signal })
    const listed = await node.json<{ peers: { peer: string; override: number | null }[] }>(['trust', 'ls'])
    expect(listed.peers).toContainEqual(expect.objectContaining({ peer, override: 0.5 }))
  })

  it('a flipped byte in the ledger is found', async () => {
    const node = await lab.daemon()
    stranger = await createLibp2p({
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
    })
    const signal = AbortSignal.timeout(10_000)
    const connection = await stranger.dial(multiaddr(node.address), { signal })
    const stream = await connection.newStream(CONTENT, { signal })
    const ended = pEvent(stream, 'close', { signal })
    stream.send(new Uint8Array(64).fill(0xff))
    await ended
    await stranger.stop()
    await node.stop()

    const again = await lab.daemon({ home: node.home })
    expect(await again.json(['trust', 'audit'])).toMatchObject({ ok: true, firstBroken: null })
    await again.stop()
    const db = new Database(join(node.home, 'state.db'))
    const { changes } = db.prepare(`UPDATE evidence SET count = count + 1 WHERE id = 1`).run()
    db.close()
    expect(changes).toBe(1)
    const last = await lab.daemon({ home: node.home })
    const broken = await last.run(['trust', 'audit', '--json'])
    expect(broken.code).toBe(5)
    expect(broken.json()).toMatchObject({ ok: false, firstBroken: { id: 1 } })
  })

  it('says what is wrong with a peer or a score', async () => {
    const node = await lab.daemon()
    const { peerId } = node.ready
    for (const args of [
      ['trust', 'show', 'nobody'],
      ['trust', 'set', peerId, '2'],
      ['trust', 'set', peerId, 'much'],
      ['trust', 'set', peerId],
      ['trust', 'set', peerId, '0.5', '--clear'],
    ]) {
      const { code } = await node.run([...args, '--json'])
      expect(code, args.join(' ')).toBe(2)
    }
    expect(await node.json(['trust', 'show', peerId])).toMatchObject({ score: 0.5, confidence: 0, terms: [] })
  })
})
