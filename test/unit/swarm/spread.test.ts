import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import type { PeerId } from '@libp2p/interface'
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ed25519Signer } from '../../../protocols/chunk/format/index.ts'
import type { Reconciled, ReconciledSet } from '../../../protocols/reconcile/types.ts'
import { type SignedStatement, type Standing, signStatement } from '../../../protocols/swarm/index.ts'
import type { GossipHandler } from '../../../src/gossip/index.ts'
import { openState } from '../../../src/storage/state/index.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { MAX_TOLD, REFRESH_PAUSE_MS } from '../../../src/swarm/limits.ts'
import { MemberList, peerText } from '../../../src/swarm/list.ts'
import { Spread } from '../../../src/swarm/spread.ts'
import { eventually, quietLogger } from '../../support/network.ts'

const signerOf = (fill: number) => ed25519Signer(new Uint8Array(32).fill(fill))
const [owner, admin, self, peer, other] = [1, 2, 3, 4, 5].map(signerOf) as [
  ReturnType<typeof signerOf>,
  ReturnType<typeof signerOf>,
  ReturnType<typeof signerOf>,
  ReturnType<typeof signerOf>,
  ReturnType<typeof signerOf>,
]
const soon = { signal: AbortSignal.timeout(10_000) }

const say = (
  signer: typeof owner,
  subject: Uint8Array,
  standing: Standing,
  number: number,
  under = 0,
): SignedStatement =>
  signStatement(owner.publicKey, signer, { subject, standing, number, under, timeMs: 1, name: '' })

let folder: string
let state: StateDatabase
let list: MemberList
let spread: Spread
let clock: { nowMs: number }
let set: ReconciledSet | undefined
let handler: GossipHandler | undefined
let published: Uint8Array[]
let asked: string[]
/** What a comparison brings. */
let bring: () => Uint8Array[]

const NOTHING: Reconciled = {
  isComplete: true,
  taken: 0,
  refused: 0,
  given: 0,
  exchanges: 1,
  sentBytes: 0,
  receivedBytes: 0,
}

const peerIdOf = (key: Uint8Array): PeerId => peerIdFromPublicKey(publicKeyFromRaw(key))

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'p2pnode-spread-'))
  state = await openState({ path: join(folder, 'state.db'), log: quietLogger() })
  clock = { nowMs: 1_700_000_000_000 }
  list = new MemberList({ state, self: self.publicKey, log: quietLogger(), now: () => clock.nowMs })
  published = []
  asked = []
  bring = () => []
  await list.begin(
    owner.publicKey,
    [say(owner, self.publicKey, 'member', 1), say(owner, other.publicKey, 'member', 1)],
    [],
  )
  spread = new Spread({ list, log: quietLogger(), now: () => clock.nowMs })
  spread.start({
    gossip: {
      publish: async (_topic, data) => published.push(data),
      subscribe: (_topic, given) => {
        handler = given
        return () => (handler = undefined)
      },
    },
    convergence: {
      register: (given) => {
        set = given
        return () => (set = undefined)
      },
    },
    reconcile: {
      peers: () => [peerIdOf(other.publicKey), peerIdOf(peer.publicKey)],
      onPeer: () => () => {},
      run: async (with_, given) => {
        asked.push(with_.toString())
        const outcomes = await given.take(bring(), with_.toString(), soon)
        return { ...NOTHING, taken: outcomes.filter(({ verdict }) => verdict === 'taken').length }
      },
    },
  })
  await eventually('the first comparison is over', () => asked.length > 0)
  asked = []
})
afterEach(async () => {
  spread.stop()
  await state.close()
  await rm(folder, { recursive: true, force: true })
})

const check = (bytes: Uint8Array): unknown =>
  spread.rules.check?.({ author: 'somebody', topic: 'swarm', data: bytes })
const take = async (...entries: Uint8Array[]): Promise<string[]> =>
  ((await set?.take(entries, 'somebody', soon)) ?? []).map(({ verdict }) => verdict)

function forged(statement: SignedStatement): Uint8Array {
  const bytes = Uint8Array.from(statement.bytes)
  bytes[80]! ^= 1
  return bytes
}

describe('what others say of the list', () => {
  it('is refused where it is forged, replayed, or of somebody who may not say it', async () => {
    const out = say(owner, peer.publicKey, 'out', 3)
    expect(await take(out.bytes, out.bytes)).toEqual(['taken', 'known'])
    const elsewhere = signStatement(other.publicKey, owner, {
      subject: peer.publicKey,
      standing: 'member',
      number: 9,
      under: 0,
      timeMs: 1,
      name: '',
    })
    for (const bytes of [
      forged(say(owner, peer.publicKey, 'member', 9)),
      elsewhere.bytes,
      say(peer, peer.publicKey, 'member', 9, 1).bytes,
      new Uint8Array(0),
      new Uint8Array(600),
    ]) {
      expect(check(bytes)).toBe('reject')
      expect(await take(bytes)).toEqual(['invalid'])
    }
    for (const statement of [
      say(owner, peer.publicKey, 'member', 2),
      say(admin, peer.publicKey, 'member', 9, 1),
      say(peer, other.publicKey, 'out', 9, 1),
    ]) {
      expect(check(statement.bytes)).toBe('ignore')
      expect(await take(statement.bytes)).toEqual(['refused'])
    }
    expect(list.admits(peerText(peer.publicKey))).toBe(false)
    expect(check(out.bytes)).toBe('accept')
  })

  it('is taken in one batch whatever its order, and lasts', async () => {
    const said = say(admin, peer.publicKey, 'member', 1, 1)
    const appointed = say(owner, admin.publicKey, 'admin', 1)
    let changes = 0
    list.onChange(() => (changes += 1))
    expect(await take(said.bytes, forged(said), appointed.bytes)).toEqual(['taken', 'invalid', 'taken'])
    expect(changes).toBe(1)
    expect(list.admits(peerText(peer.publicKey))).toBe(true)
    const again = new MemberList({ state, self: self.publicKey, log: quietLogger(), now: () => clock.nowMs })
    expect(again.admits(peerText(peer.publicKey))).toBe(true)
    expect(again.swarm?.roster.ids(undefined, 10)).toEqual(set?.ids(undefined, 10))
    expect(again.swarm?.roster.version()).toBe(list.swarm?.roster.version())
    for (const id of set?.ids(undefined, 10) ?? []) expect(await set?.read(id)).toBeDefined()
  })

  it('of gossip is handled as it comes', async () => {
    await handler?.(
      { author: 'x', topic: 'swarm', data: say(owner, peer.publicKey, 'member', 1).bytes },
      soon.signal,
    )
    expect(list.admits(peerText(peer.publicKey))).toBe(true)
  })

  it('that puts this node out closes it to everybody, until it leaves', async () => {
    expect(list.admits(peerText(other.publicKey))).toBe(true)
    await take(say(owner, self.publicKey, 'out', 2).bytes)
    expect(list.admits(peerText(other.publicKey))).toBe(false)
    await list.forget()
    spread.follow()
    expect(list.admits(peerText(other.publicKey))).toBe(true)
    expect(set).toBeUndefined()
    expect(handler).toBeUndefined()
    expect(check(say(owner, peer.publicKey, 'member', 1).bytes)).toBe('ignore')
  })
})

describe('a peer that is not known', () => {
  const stranger = peerText(peer.publicKey)

  it('is asked for once among members, and then known or not', async () => {
    bring = () => [say(owner, peer.publicKey, 'member', 1).bytes]
    await Promise.all([spread.refresh(stranger), spread.refresh('another'), spread.refresh(stranger)])
    expect(list.admits(stranger)).toBe(true)
    // One round, of the members alone.
    const known = peerText(other.publicKey)
    expect(asked).toEqual([known])
    // News goes on to whoever has not brought it: here to the newcomer.
    await eventually('it is passed on', () => asked.includes(stranger))
    asked = []
    await spread.refresh('another')
    expect(asked).toEqual([])
    clock.nowMs += REFRESH_PAUSE_MS
    await spread.refresh('another')
    expect(asked).toContain(known)
  })

  it('does not make a node ask more than so often, however many there are', async () => {
    for (let index = 0; index < 50; index += 1) await spread.refresh(`stranger ${index}`)
    expect(asked.length).toBeLessThanOrEqual(4)
    clock.nowMs += 2_000
    await spread.refresh('one more')
    expect(asked.length).toBeLessThanOrEqual(5)
  })

  it('is refused in time where nobody answers', async () => {
    bring = () => {
      throw new Error('no answer')
    }
    await spread.refresh(stranger)
    expect(list.admits(stranger)).toBe(false)
  })
})

describe('a change of this node', () => {
  it('of very many words is told with its last one, and compared at once', async () => {
    const words = Array.from({ length: MAX_TOLD + 50 }, (_, index) =>
      say(owner, peer.publicKey, 'member', index + 1),
    )
    await spread.tell(words)
    expect(published).toHaveLength(MAX_TOLD)
    expect(published.at(-1)).toEqual(words.at(-1)?.bytes)
    expect(asked).toEqual([peerText(other.publicKey)])
  })

  it('is told, and lasts', async () => {
    const statement = say(owner, peer.publicKey, 'member', 1)
    await list.record([statement])
    await spread.tell([statement])
    expect(published).toEqual([statement.bytes])
  })
})
