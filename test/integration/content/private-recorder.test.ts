import { randomBytes } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { afterEach, expect, it } from 'vitest'
import { links } from '../../../protocols/content/links.ts'
import { type ContentNode, startContentNode, until } from '../../support/content-node.ts'
import { rawCid } from '../../support/content-protocol.ts'
import { type Recorder, startRecorder } from '../../support/recorder.ts'
import { startGateway, type TestGateway } from '../../support/trustless-gateway.ts'

const stopping: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stopping.splice(0).toReversed()) await stop()
})

const signal = AbortSignal.timeout(60_000)
/** Within the network, private content is asked for and sent. */
const isOfNetwork = (protocol: string): boolean => protocol.includes('/content/')

async function allOf(at: ContentNode, root: string): Promise<CID[]> {
  const found: CID[] = []
  const pending = [CID.parse(root)]
  for (let cid = pending.pop(); cid !== undefined; cid = pending.pop()) {
    found.push(cid)
    pending.push(...links(cid, (await at.storage.blocks.get(cid))!))
  }
  return found
}

/** A node with every way out, and a peer that speaks all that it speaks, but for the content protocol. */
async function house(): Promise<{
  node: ContentNode
  friend: ContentNode
  recorder: Recorder
  gateway: TestGateway
}> {
  const friend = await startContentNode()
  stopping.push(() => friend.stop())
  const gateway = await startGateway({ get: async () => undefined })
  stopping.push(() => gateway.stop())
  const node = await startContentNode({
    publish: true,
    discovery: {
      steps: { peers: true, ipfs: true, proxy: true, gateways: true },
      gateways: [gateway.url],
      deadlines: { peersMs: 5_000, ipfsMs: 700, proxyMs: 700, gatewaysMs: 700 },
    },
  })
  stopping.push(() => node.stop())
  const recorder = await startRecorder(
    node.libp2p.getProtocols().filter((protocol) => !isOfNetwork(protocol)),
  )
  stopping.push(() => recorder.stop())
  await node.libp2p.dial(recorder.libp2p.getMultiaddrs(), { signal })
  return { node, friend, recorder, gateway }
}

const asksGateway = (gateway: TestGateway, cid: CID): boolean =>
  gateway.requests.some((request) => request.cid === cid.toString())

it('lets no private CID out, over whatever it speaks', async () => {
  const { node, friend, recorder, gateway } = await house()

  // What goes out of the public, so that silence about the private means something.
  const open = CID.parse((await node.add(randomBytes(300))).cid)
  await until(() => recorder.saw(open).length > 0)
  const unknown = rawCid(randomBytes(30))
  await node.run('get', { address: unknown.toString() }).catch(() => {})
  expect(recorder.saw(unknown)).toContainEqual(expect.stringContaining('bitswap'))
  expect(recorder.saw(unknown)).toContainEqual(expect.stringContaining('kad'))
  expect(asksGateway(gateway, unknown)).toBe(true)

  // Added here; fetched from a friend that has it; asked for in vain; and told to be announced.
  const secrets: CID[] = []
  const own = (await node.add(randomBytes(3_000_000), { private: true })).cid
  secrets.push(...(await allOf(node, own)))
  const { cid: theirs } = await friend.add(randomBytes(3_000_000), { private: true })
  secrets.push(...(await allOf(friend, theirs)))
  await node.connect(friend)
  await node.run('get', { address: theirs, private: true })
  const nowhere = rawCid(randomBytes(31))
  secrets.push(nowhere)
  await node.run('get', { address: nowhere.toString(), private: true }).catch(() => {})
  for (const cid of [CID.parse(own), CID.parse(theirs), nowhere]) {
    await node.content.provide(cid, { signal }).catch(() => {})
    for await (const _ of node.content.providers(cid, { signal })) continue
    await node.helia.fetchBlock(cid, { signal: AbortSignal.timeout(300) }).catch(() => {})
    await node.helia.helia.routing.provide(cid, { signal }).catch(() => {})
  }

  // After all that, something public again: whatever waited in a queue before it has gone by then.
  const last = CID.parse((await node.add(randomBytes(301))).cid)
  await until(() => recorder.saw(last).length > 0)
  for (const cid of secrets) {
    expect(recorder.saw(cid)).toEqual([])
    expect(asksGateway(gateway, cid)).toBe(false)
  }
  expect(secrets.length).toBeGreaterThan(8)
  // The filter of roots, as the friend has it: of 1 % of what it never was given it says yes, hence several.
  const peer = node.libp2p.peerId.toString()
  await until(() => friend.capabilities.claims(peer, last) === 'yes')
  const roots = [own, theirs].map((cid) => friend.capabilities.claims(peer, CID.parse(cid)))
  expect(roots).toContain('no')
})
