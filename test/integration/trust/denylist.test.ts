import { CID } from 'multiformats/cid'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keystream } from '../../support/content.ts'
import { collect, type ContentNode, startContentNode } from '../../support/content-node.ts'
import { ask, directory, type GatewayBench, openGateway, put, rawBlock } from '../../support/gateway.ts'

const signal = AbortSignal.timeout(30_000)
const hidden = rawBlock('hidden')
const open = rawBlock('open')
const tree = directory([
  ['hidden', hidden],
  ['open', open],
])

describe('content on a denylist', () => {
  let holder: GatewayBench
  let asker: ContentNode
  beforeAll(async () => {
    holder = await openGateway()
    asker = await startContentNode()
    await put(holder.node, hidden, open, tree)
    await asker.connect(holder.node)
  })
  afterAll(async () => {
    await Promise.all([holder.close(), asker.stop()])
  })

  it('leaves by no way, and what is beside it by all', async () => {
    const { node, port } = holder
    const offline = { signal, offline: true }
    node.trust.block(hidden.cid.toString())
    // To peers.
    expect((await collect(asker.content.cat(open.cid.toString(), { signal }))).toString()).toBe('open')
    await expect(asker.run('get', { address: hidden.cid.toString() })).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    })
    const below = asker.content.cat(`${tree.cid}/hidden`, { signal })
    await expect(collect(below)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    // By HTTP: file, block, CAR, and any other text form of the CID.
    for (const path of [
      `/ipfs/${hidden.cid}`,
      `/ipfs/${hidden.cid}?format=raw`,
      `/ipfs/${tree.cid}/hidden`,
      `/ipfs/${CID.createV1(0x70, hidden.cid.multihash)}?format=raw`,
    ])
      expect((await ask(port, path)).status, path).toBe(410)
    expect((await ask(port, `/ipfs/${tree.cid}/open`)).text).toBe('open')
    const car = await ask(port, `/ipfs/${tree.cid}?format=car`).catch(() => undefined)
    expect(car?.body.includes('hidden', -6) ?? false).toBe(false)
    // To programs of this machine: CAR export included.
    const denied = { code: 'ERR_CONTENT_DENIED' }
    await expect(collect(node.content.cat(hidden.cid.toString(), offline))).rejects.toMatchObject(denied)
    await expect(collect(node.content.car(tree.cid.toString(), offline))).rejects.toMatchObject(denied)
    await expect(
      collect(node.content.tar(tree.cid.toString(), { ...offline, name: 'x' })),
    ).rejects.toMatchObject(denied)
    await expect(node.run('get', { address: hidden.cid.toString() })).rejects.toMatchObject(denied)
    // In what is told of it.
    await expect(node.content.provide(hidden.cid, { signal })).rejects.toMatchObject(denied)
    expect(node.trust.denials()).toMatchObject({
      'serve-content': { 'content-deny-list': expect.any(Number) },
      read: { 'content-deny-list': expect.any(Number) },
      tell: { 'content-deny-list': expect.any(Number) },
    })
    node.trust.unblock(`/ipfs/${hidden.cid}`)
    expect((await ask(port, `/ipfs/${tree.cid}/hidden`)).text).toBe('hidden')
  })

  it('may be a path, which is refused as it is asked for, and a name before it is resolved', async () => {
    const { node, port } = holder
    node.trust.block(`/ipfs/${tree.cid}/hid*`)
    node.trust.block('/ipns/domain.example')
    expect((await ask(port, `/ipfs/${tree.cid}/hidden`)).status).toBe(410)
    expect((await ask(port, `/ipfs/${tree.cid}/open`)).status).toBe(200)
    expect((await ask(port, `/ipfs/${hidden.cid}`)).status).toBe(200)
    await expect(node.content.resolve(`${tree.cid}/hidden`, { signal, offline: true })).rejects.toMatchObject(
      {
        code: 'ERR_CONTENT_DENIED',
      },
    )
    const named = await openGateway({ names: { resolve: () => Promise.reject(new Error('was asked')) } })
    named.node.trust.block('/ipns/domain.example')
    expect((await ask(named.port, '/ipns/domain.example/x')).status).toBe(410)
    await named.close()
  })

  it('is not fetched here either', async () => {
    const bytes = keystream('unwanted', 100_000)
    const { cid } = await holder.node.add(bytes)
    asker.trust.block(cid)
    await expect(asker.run('get', { address: cid })).rejects.toMatchObject({ code: 'ERR_CONTENT_DENIED' })
    expect(await asker.storage.blocks.has(CID.parse(cid))).toBe(false)
  })
})
