import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { CID } from 'multiformats/cid'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeResponse, encodeRequest } from '../../../protocols/keep/messages.ts'
import { MAX_MESSAGE_BYTES, MAX_TERM_MS } from '../../../protocols/keep/limits.ts'
import { Statements } from '../../../protocols/keep/statements.ts'
import { Status } from '../../../protocols/shared/status.ts'
import type { ContentNode } from '../../support/content-node.ts'
import { startContentNode, until } from '../../support/content-node.ts'
import { cidOf } from '../../support/provide.ts'

const { signal } = new AbortController()
let holder: ContentNode
let asker: ContentNode
let other: ContentNode

beforeAll(async () => {
  ;[holder, asker, other] = await Promise.all([startContentNode(), startContentNode(), startContentNode()])
  await Promise.all([asker.connect(holder), other.connect(holder)])
})
afterAll(async () => {
  await Promise.all([holder, asker, other].map((node) => node.stop()))
})

async function open(): Promise<Stream> {
  const { protocols } = holder.libp2p.services.keep
  return asker.libp2p.dialProtocol(holder.libp2p.peerId, protocols, { signal })
}

/** The status of the answer, or undefined where the stream ended without one. */
async function answerTo(bytes: Uint8Array): Promise<number | undefined> {
  const stream = await open()
  const frames = lpStream(stream)
  try {
    await frames.write(bytes, { signal })
    return decodeResponse((await frames.read({ signal: AbortSignal.timeout(12_000) })).subarray()).status
  } catch {
    return undefined
  } finally {
    stream.abort(new Error('that was all'))
  }
}

async function evidence(kind: string, peer = asker): Promise<number> {
  return holder.trust
    .evidence({ peer: peer.libp2p.peerId.toString() })
    .evidence.filter((row) => row.kind === kind).length
}

describe('a holder', () => {
  const statements = new Statements('test')
  const ask = (changes: object = {}): Parameters<Statements['signAsk']>[1] => ({
    cid: cidOf('x'),
    sizeBytes: 10,
    untilMs: Date.now() + 60_000,
    atMs: Date.now(),
    asker: asker.libp2p.peerId,
    holder: holder.libp2p.peerId,
    ...changes,
  })

  it('holds on to one promise however often it is asked, and lets go when it is released', async () => {
    const { cid } = await asker.add(new Uint8Array(50_000))
    const { keep } = asker.libp2p.services
    const what = { cid: CID.parse(cid), sizeBytes: 50_000, untilMs: Date.now() + 60_000 }
    await keep.ask(holder.libp2p.peerId, what, { signal })
    const again = await keep.ask(holder.libp2p.peerId, { ...what, untilMs: what.untilMs + 1 }, { signal })
    expect(again.untilMs).toBe(what.untilMs + 1)
    expect(holder.policies.statistics().promises).toBe(1)
    await until(async () => {
      return (await keep.probe(holder.libp2p.peerId, what.cid, { signal })).state === 'held'
    })
    expect(holder.jobs.list({ kind: 'acquire' })).toHaveLength(1)
    // Promised to one, and nobody else's business.
    const seen = await other.libp2p.services.keep.probe(holder.libp2p.peerId, what.cid, { signal })
    expect(seen).toEqual({ state: 'none', untilMs: 0 })
    for (const _ of [1, 2]) await keep.release(holder.libp2p.peerId, what.cid, { signal })
    expect(holder.policies.statistics()).toMatchObject({ promises: 0, promisedBytes: 0 })
  })

  it('ends streams of garbage, of too much, and of nothing that is a request', async () => {
    expect(await answerTo(Buffer.from('no request at all'))).toBeUndefined()
    expect(await answerTo(new Uint8Array(MAX_MESSAGE_BYTES + 1))).toBeUndefined()
    expect(await answerTo(new Uint8Array(0))).toBeUndefined()
    // A length that does not end is not read on until its time is over.
    const before = await evidence('protocol-violation')
    const stream = await open()
    stream.send(new Uint8Array(64).fill(0x80))
    await until(() => stream.status === 'reset' || stream.status === 'aborted' || stream.status === 'closed')
    await until(async () => (await evidence('protocol-violation')) > before)
  })

  it('takes no statement of others, for others, of another time or network', async () => {
    const signed = async (changes: object, key = asker.privateKey, network = statements) =>
      encodeRequest({ kind: 'ask', signed: await network.signAsk(key, ask(changes)) })
    const bad = [
      await signed({}, other.privateKey),
      await signed({ asker: other.libp2p.peerId }, other.privateKey),
      await signed({ holder: other.libp2p.peerId }),
      await signed({ atMs: Date.now() - 3_600_000 }),
      await signed({ atMs: Date.now() + 3_600_000 }),
      await signed({ untilMs: Date.now() - 1 }),
      await signed({ untilMs: Date.now() + 2 * MAX_TERM_MS }),
      await signed({}, asker.privateKey, new Statements('elsewhere')),
    ]
    for (const request of bad) expect(await answerTo(request)).toBe(Status.invalid)
    expect(holder.policies.statistics().promises).toBe(0)
    await until(async () => (await evidence('protocol-violation')) > 0)
  })

  it('asks its policy, and refuses a flood', async () => {
    const { keep } = other.libp2p.services
    holder.trust.block(other.libp2p.peerId.toString())
    const denied = keep.probe(holder.libp2p.peerId, cidOf('x'), { signal })
    await expect(denied).rejects.toMatchObject({ code: 'ERR_KEEP_REFUSED' })
    holder.trust.unblock(other.libp2p.peerId.toString())
    let refused = 0
    for (let count = 0; count < 120 && refused === 0; count++) {
      await keep.probe(holder.libp2p.peerId, cidOf('x'), { signal }).catch(() => refused++)
    }
    expect(refused).toBe(1)
    await until(async () => (await evidence('limit-exceeded', other)) > 0)
  })
})
