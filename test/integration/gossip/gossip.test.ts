import { afterEach, describe, expect, it, vi } from 'vitest'
import type { GossipMessage, TopicRules } from '../../../src/gossip/index.ts'
import type { TestNode, TestNodeOptions } from '../../support/network.ts'
import { eventually, startTestNode, stopAll } from '../../support/network.ts'
import { rawSpeaker, signMessages } from '../../support/raw-gossip.ts'

const SOON = (): AbortSignal => AbortSignal.timeout(10_000)
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (message: GossipMessage): string => new TextDecoder().decode(message.data)

const NEWS: TopicRules = {
  name: 'news',
  maxBytes: 1_000,
  authorRate: { perSecond: 1, burst: 5 },
  check: ({ data }) => {
    const said = new TextDecoder().decode(data)
    if (said.startsWith('throw')) {
      throw new Error('a check that fails')
    }
    return said.startsWith('bad') ? 'reject' : said.startsWith('old') ? 'ignore' : 'accept'
  },
}
/** The same topic as a node has it that follows no rules. */
const LAWLESS: TopicRules = {
  name: 'news',
  maxBytes: 60_000,
  authorRate: { perSecond: 10_000, burst: 10_000 },
}

let nodes: TestNode[] = []
afterEach(async () => {
  await stopAll(nodes)
  nodes = []
})

async function start(options: TestNodeOptions = {}): Promise<TestNode> {
  const node = await startTestNode({ topics: [NEWS], ...options })
  nodes.push(node)
  return node
}

async function connect(a: TestNode, b: TestNode): Promise<void> {
  await a.network.connect(b.address, SOON())
}

/** Collects what a node hears, and waits until its neighbours know that it listens. */
async function listen(node: TestNode, neighbours: TestNode[], topic = 'news'): Promise<GossipMessage[]> {
  const heard: GossipMessage[] = []
  node.gossip.subscribe(topic, (message) => {
    heard.push(message)
  })
  await eventually('the subscription is known', () =>
    neighbours.every((neighbour) => neighbour.gossip.subscribers(topic).includes(node.peer)),
  )
  return heard
}

describe('gossip', () => {
  it('carries signed messages over a neighbour that listens too', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    await connect(a, b)
    await connect(b, c)
    const heardByC = await listen(c, [b])
    const heardByB = await listen(b, [a, c])

    expect(await a.gossip.publish('news', bytes('hello'))).toBe(1)

    await eventually('both heard', () => heardByC.length === 1 && heardByB.length === 1)
    expect(heardByC[0]).toMatchObject({ author: a.peer, topic: 'news' })
    expect(heardByC.map(text)).toEqual(['hello'])
    expect(a.libp2p.services.pubsub.getTopics()).toEqual([])
    expect(c.libp2p.services.pubsub.getTopics()).toEqual(['/p2pnode/test/gossip/news'])
    await eventually('it is evidence', () =>
      c.trust.evidence({ peer: b.peer }).evidence.some(({ kind }) => kind === 'message-valid'),
    )
  })

  it('refuses what breaks the rules, and neither delivers nor forwards it', async () => {
    const lawless = await start({ topics: [LAWLESS] })
    const b = await start()
    const c = await start()
    await connect(lawless, b)
    await connect(b, c)
    const heardByC = await listen(c, [b])
    const heardByB = await listen(b, [lawless, c])

    for (const said of ['bad', 'old', 'throw', 'x'.repeat(2_000), 'good']) {
      await lawless.gossip.publish('news', bytes(said))
    }

    await eventually('the good one came', () => heardByC.length === 1)
    expect(heardByC.map(text)).toEqual(['good'])
    expect(heardByB.map(text)).toEqual(['good'])
    expect(b.gossip.statistics()).toMatchObject({ accepted: 1, ignored: 2, rejected: 2 })
    expect(
      b.trust
        .evidence({ peer: lawless.peer })
        .evidence.filter(({ kind }) => kind === 'message-invalid')
        .map(({ detail }) => detail.reason),
    ).toEqual(['content', 'content'])
  })

  it('checks the signature of a message once, however many copies come, and never takes another for a copy', async () => {
    const spoken: TopicRules = {
      name: 'spoken',
      maxBytes: 1_000,
      authorRate: { perSecond: 100, burst: 100 },
      hasEnvelope: true,
    }
    const node = await start({ topics: [spoken] })
    const heard: string[] = []
    node.gossip.subscribe('spoken', (message) => {
      heard.push(text(message))
    })
    const [first, second] = await Promise.all([rawSpeaker(node.address), rawSpeaker(node.address)])
    const verify = vi.spyOn(Object.getPrototypeOf(first.privateKey.publicKey), 'verify')
    try {
      const [topic = ''] = node.libp2p.services.pubsub.getTopics()
      const said = ['one', 'two', 'three'].map(bytes)
      const [one, two, three] = await signMessages(first.privateKey, topic, said)
      verify.mockClear()
      await first.send([one!, two!])
      // A copy that came meanwhile would be checked as well.
      await eventually('both were heard', () => heard.length === 2)
      for (let copy = 0; copy < 20; copy++) {
        await first.send([one!])
        await second.send([two!, one!])
      }
      // The signature of one under what another says, before and after the one it was made for.
      await second.send([{ ...three!, data: bytes('made up') }])
      await second.send([three!])
      await second.send([{ ...three!, data: bytes('made up, again') }])
      await second.send([{ ...one!, signature: three!.signature! }])
      await eventually('all were looked at', () => verify.mock.calls.length >= 6)
      // Those of one frame are verified beside each other.
      expect(heard.toSorted()).toEqual(['one', 'three', 'two'])
      expect(await Promise.all(verify.mock.results.map(({ value }) => value as unknown))).toEqual([
        true,
        true,
        false,
        true,
        false,
        false,
      ])
    } finally {
      verify.mockRestore()
      await Promise.all([first.stop(), second.stop()])
    }
  })

  it('holds back who says more than can be looked at, and leaves others their turn', async () => {
    const spoken: TopicRules = {
      name: 'spoken',
      maxBytes: 20_000,
      authorRate: { perSecond: 10_000, burst: 10_000 },
      hasEnvelope: true,
    }
    const node = await start({ topics: [spoken] })
    let turn = 0
    let immediate: NodeJS.Immediate
    const count = (): void => {
      turn += 1
      immediate = setImmediate(count)
    }
    const perTurn = new Map<number, number>()
    node.gossip.subscribe('spoken', () => {
      perTurn.set(turn, (perTurn.get(turn) ?? 0) + 1)
    })
    const speaker = await rawSpeaker(node.address)
    try {
      const [topic = ''] = node.libp2p.services.pubsub.getTopics()
      const payloads = Array.from({ length: 1_500 }, (_, index) => bytes(`${index} ${'x'.repeat(1_000)}`))
      const messages = await signMessages(speaker.privateKey, topic, payloads)
      count()
      const sent = speaker.send(messages.slice(0, 500))
      for (let at = 500; at < messages.length; at += 10) await speaker.send(messages.slice(at, at + 10))
      await sent
      const heard = (): number => [...perTurn.values()].reduce((sum, some) => sum + some, 0)
      await eventually('all were heard', () => heard() === messages.length, 60_000)
      // Without it all that had come was looked at in two or three turns.
      expect(perTurn.size).toBeGreaterThan(8)
    } finally {
      clearImmediate(immediate!)
      await speaker.stop()
    }
  })

  it('holds an author to the rate of the topic', async () => {
    const lawless = await start({ topics: [LAWLESS] })
    const b = await start()
    await connect(lawless, b)
    const heard = await listen(b, [lawless])
    for (let index = 0; index < 50; index++) {
      await lawless.gossip.publish('news', bytes(`message ${index}`))
    }
    await eventually('all were looked at', () => {
      const { accepted, ignored } = b.gossip.statistics()
      return accepted + ignored === 50
    })
    expect(heard.length).toBeGreaterThanOrEqual(5)
    expect(heard.length).toBeLessThan(10)
    expect(b.trust.evidence({ peer: lawless.peer }).evidence).toContainEqual(
      expect.objectContaining({ kind: 'limit-exceeded' }),
    )
  })

  it('stops reading a neighbour whose messages are invalid again and again', async () => {
    const lawless = await start({ topics: [LAWLESS] })
    const b = await start()
    await connect(lawless, b)
    const heard = await listen(b, [lawless])
    for (let index = 0; index < 20; index++) {
      await lawless.gossip.publish('news', bytes(`bad ${index}`))
    }
    await eventually('it was refused', () => b.gossip.statistics().rejected >= 5)
    // The score is computed once a second; from then on nothing of this neighbour is looked at.
    await eventually('it is shunned', async () => {
      const { rejected } = b.gossip.statistics()
      await lawless.gossip.publish('news', bytes(`bad again ${Math.random()}`))
      await new Promise((resolve) => {
        setTimeout(resolve, 300)
      })
      return b.gossip.statistics().rejected === rejected
    })
    expect(heard).toEqual([])
  })

  it('ignores what a blocked author said, whoever forwards it', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    await connect(a, b)
    await connect(b, c)
    const heardByC = await listen(c, [b])
    const heardByB = await listen(b, [a, c])
    c.trust.block(a.peer)
    await a.gossip.publish('news', bytes('hello'))
    await eventually('b heard, c looked', () => heardByB.length === 1 && c.gossip.statistics().ignored === 1)
    expect(heardByC).toEqual([])
    expect(c.trust.denials()).toMatchObject({ gossip: { 'deny-list': 1 } })
  })

  it('drops topics that nobody here knows, and those of another network', async () => {
    const a = await start({ topics: [NEWS, { ...NEWS, name: 'secret' }] })
    const b = await start()
    const other = await start({ network: { name: 'other' } })
    await connect(a, b)
    await connect(a, other)
    const heard = await listen(b, [a])
    const heardByOther: GossipMessage[] = []
    other.gossip.subscribe('news', (message) => {
      heardByOther.push(message)
    })
    a.gossip.subscribe('secret', () => {})
    a.gossip.subscribe('news', () => {})

    expect(await a.gossip.publish('secret', bytes('psst'))).toBe(0)
    expect(await a.gossip.publish('news', bytes('hello'))).toBe(1)
    expect(await other.gossip.publish('news', bytes('from elsewhere'))).toBe(0)

    await eventually('b heard', () => heard.length === 1)
    expect(heardByOther).toEqual([])
    expect(b.libp2p.services.pubsub.getSubscribers('/p2pnode/test/gossip/secret')).toEqual([])
  })

  it('does not let a slow handler hold more than its bound', async () => {
    const flood: TopicRules = {
      name: 'flood',
      maxBytes: 60_000,
      authorRate: { perSecond: 10_000, burst: 10_000 },
    }
    const [a, b] = [await start({ topics: [flood] }), await start({ topics: [flood] })]
    await connect(a, b)
    let release = (): void => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    let handled = 0
    b.gossip.subscribe('flood', async () => {
      await held
      handled++
    })
    await eventually('the subscription is known', () => a.gossip.subscribers('flood').includes(b.peer))
    for (let index = 0; index < 400; index++) {
      await a.gossip.publish('flood', bytes(`message ${index}`))
    }
    await eventually('all arrived', () => b.gossip.statistics().accepted === 400)
    // One is with the handler, 256 wait.
    expect(b.gossip.statistics().dropped).toBe(400 - 257)
    release()
    await eventually('what waited was handled', () => handled === 257)
  })

  it('says what is wrong with a call', async () => {
    const a = await start()
    await expect(a.gossip.publish('nothing', bytes('x'))).rejects.toMatchObject({ code: 'ERR_TOPIC_UNKNOWN' })
    await expect(a.gossip.publish('news', new Uint8Array(1_001))).rejects.toMatchObject({
      code: 'ERR_MESSAGE_TOO_LARGE',
      kind: 'too-large',
    })
    expect(() => a.gossip.subscribe('nothing', () => {})).toThrow(/there is no topic/)
    a.gossip.stop()
    await expect(a.gossip.publish('news', bytes('x'))).rejects.toMatchObject({ code: 'ERR_GOSSIP_STOPPED' })
  })
})
