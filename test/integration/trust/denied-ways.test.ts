import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Libp2p } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encode } from '../../../protocols/content/messages.ts'
import { Status } from '../../../protocols/shared/status.ts'
import { blocksOf, presencesOf, startScripted, wantOf } from '../../support/bitswap.ts'
import {
  NETWORK,
  PROTOCOL,
  type RawClient,
  rawClient,
  startNode,
  type TestNode,
} from '../../support/content-protocol.ts'
import { p2pnode } from '../../support/daemon.ts'
import { ask, directory, type MadeBlock, rawBlock } from '../../support/gateway.ts'
import { eventually } from '../../support/network.ts'
import { soon, SwarmLab, type WholeNode } from '../../support/swarm.ts'

const root = rawBlock('a root that is on the list')
const openRoot = rawBlock('a root that is not')
const child = rawBlock('a block below, which is on the list')
const beside = rawBlock('a block beside it')
const byPath = rawBlock('denied by its path alone')
/** `child` is denied by its CID, `path` by its path below this root. */
const tree = directory([
  ['beside', beside],
  ['child', child],
  ['path', byPath],
])
const openTree = directory([['beside', beside]])
const site = directory([
  ['_redirects', rawBlock('/gone /index.html 200\n/hidden /path 200\n')],
  ['index.html', beside],
  ['path', byPath],
])
const frontPage = directory([['index.html', byPath]])
const late = rawBlock('put on the list while the node runs')
const HELD = [root, openRoot, child, beside, byPath, tree, openTree, site, frontPage, late]
const rules = rawBlock('/gone /index.html 200\n/hidden /path 200\n')

const lab = new SwarmLab()
let holder: WholeNode
let other: WholeNode
/** Speaks the content protocol over a store in memory, and has no list. */
let plain: TestNode
/** Of `holder`, for whoever dials by hand. */
let door: Libp2p

const KEYS = {
  'network.name': NETWORK,
  'content.announce.publish': 'true',
  'content.capabilities.interval': '1s',
  'trust.thresholds.proxy': '0.5',
}

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'p2pnode-denied-'))
  await mkdir(join(folder, 'denylists'))
  const listed = [
    `/ipfs/${root.cid}`,
    `/ipfs/${child.cid}`,
    `/ipfs/${tree.cid}/path`,
    `/ipfs/${site.cid}/path`,
    `/ipfs/${frontPage.cid}/index.html`,
    '/ipns/denied.example',
  ]
  await writeFile(join(folder, 'denylists', 'first.deny'), `version: 1\n---\n${listed.join('\n')}\n`)
  const links = [
    `denied.example=/ipfs/${openTree.cid}`,
    `onward.example=/ipns/denied.example`,
    `leads.example=/ipfs/${root.cid}`,
    `open.example=/ipfs/${openTree.cid}`,
  ]
  holder = await lab.node({ home: folder, set: { ...KEYS, 'content.dnslink': JSON.stringify(links) } })
  other = await lab.node({ set: KEYS })
  plain = await startNode()
  for (const { cid, bytes } of [...HELD, rules]) await holder.storage.blocks.put(cid, bytes)
  const address = multiaddr(holder.at('tcp'))
  door = { getMultiaddrs: () => [address] } as unknown as Libp2p
  await other.network.connect(holder.at('tcp'), soon())
  await plain.libp2p.dial(address)
  await eventually('all know each other', () => plain.content.peers().length > 0 && other.peers().length > 0)
}, 30_000)
afterAll(async () => {
  await plain?.stop()
  await lab.close()
})

const pin = (node: WholeNode, address: CID, name = 'test') =>
  run(node, 'pin', { address: address.toString(), name })

async function run(
  node: WholeNode,
  kind: string,
  params: unknown,
): Promise<{ code: string; kind: string } | undefined> {
  const job = await node.jobs.wait((await node.jobs.submit(kind, params)).id, soon())
  return job.state === 'done' ? undefined : (job.error ?? { code: job.state, kind: job.state })
}

/** One request of the control API: its status, and what came before it broke off. */
async function api(
  node: WholeNode,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: Buffer; json: <T>() => T }> {
  const token = (await readFile(join(node.home, 'api.token'), 'utf8')).trim()
  const parts: Uint8Array[] = []
  let status = 0
  try {
    const response = await fetch(`${node.ready.api}${path}`, {
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    })
    ;({ status } = response)
    for await (const part of response.body!) parts.push(part)
  } catch {
    // Where what comes next is denied, a stream breaks off.
  }
  const whole = Buffer.concat(parts)
  return { status, body: whole, json: <T>() => JSON.parse(whole.toString()) as T }
}

const gateway = (path: string, headers: Record<string, string> = {}) =>
  ask(Number(new URL(holder.ready.gateway ?? '').port), path, { headers }).catch(() => undefined)

const holds = (whole: Uint8Array | undefined, { bytes }: MadeBlock): boolean =>
  whole !== undefined && Buffer.from(whole).includes(Buffer.from(bytes))

const answers = (peer: Awaited<ReturnType<typeof startScripted>>): number =>
  blocksOf(peer).length + presencesOf(peer).length

const denials = (action: 'read' | 'tell' | 'serve-content' | 'serve-bitswap' | 'proxy' | 'fetch' | 'keep') =>
  holder.trust.denials()[action]?.['content-deny-list'] ?? 0

describe('what is on a denylist is not given', () => {
  it('by Bitswap, nor said to be there', async () => {
    const peer = await startScripted()
    const wanted = [openRoot, root, child, beside].map(({ cid }) => cid)
    await peer.send(door, (message) => message.wants(wanted.map((cid) => wantOf(cid, { wantsBlock: false }))))
    // A small block comes at once where only its presence was asked for.
    await eventually('all questions are answered', () => answers(peer) === 4)
    expect(presencesOf(peer).filter(([, isHeld]) => !isHeld)).toEqual(
      [root, child].map(({ cid }) => [cid.toString(), false]),
    )
    await peer.send(door, (message) => message.wants(wanted.map((cid) => wantOf(cid))))
    await eventually('all wants are answered', () => answers(peer) === 8)
    expect([...new Set(blocksOf(peer).map(String))].toSorted()).toEqual(
      [`${Buffer.from(openRoot.bytes)}`, `${Buffer.from(beside.bytes)}`].toSorted(),
    )
    expect(denials('serve-bitswap')).toBeGreaterThan(0)
    await peer.stop()
  })

  it('by the content protocol: block, DAG, path, proxy', async () => {
    const got = async (cid: CID) =>
      plain.content.fetchBlock(cid, { peers: [holder.network.peerId], signal: soon() }).then(
        ({ bytes }) => Buffer.from(bytes),
        () => undefined,
      )
    expect(await got(root.cid)).toBeUndefined()
    expect(await got(child.cid)).toBeUndefined()
    expect(`${await got(openRoot.cid)}`).toBe(`${Buffer.from(openRoot.bytes)}`)

    const client: RawClient = await rawClient(plain.libp2p, { ...plain, libp2p: door } as TestNode, PROTOCOL)
    const dag = async (id: number, path: string[] = []) => {
      const bounds = {
        range: undefined,
        depthBudget: undefined,
        blockBudget: undefined,
        byteBudget: undefined,
      }
      client.send(encode.want({ kind: 'dag', id, root: tree.cid, scope: 'all', path, held: [], ...bounds }))
      client.send(encode.credit(1_000_000))
      return ended(id)
    }
    const ended = async (id: number) => {
      const isEnd = (message: (typeof client.messages)[number]) =>
        message.kind === 'done' && message.want === id
      await eventually('the Want has ended', () => client.messages.some(isEnd))
      const end = client.messages.find(isEnd)
      const blocks = client.blocks
        .filter(({ want }) => want === id)
        .map(({ bytes }) => `${Buffer.from(bytes)}`)
      return { reason: end?.kind === 'done' ? end.reason : undefined, blocks }
    }
    const whole = await dag(1)
    expect(whole.reason).toBe(Status.incomplete)
    expect(whole.blocks).toContain(`${Buffer.from(beside.bytes)}`)
    expect(whole.blocks).not.toContain(`${Buffer.from(child.bytes)}`)
    expect(await dag(2, ['path'])).toEqual({ reason: Status.refused, blocks: [] })
    expect((await dag(3, ['beside'])).blocks).toContain(`${Buffer.from(beside.bytes)}`)
    client.stream.abort(new Error('enough'))

    const byProxy = async (cid: CID) =>
      plain.content
        .fetchByProxy(cid, { peer: holder.network.peerId, root: cid, signal: soon() })
        .catch(() => undefined)
    expect(await byProxy(root.cid)).toBeUndefined()
    expect(await byProxy(child.cid)).toBeUndefined()
    expect(denials('serve-content')).toBeGreaterThan(0)
  })

  it('by the gateway, in any format, place and form of the CID', async () => {
    const sub = (cid: CID) => ({ host: `${cid.toV1()}.ipfs.localhost` })
    const before = denials('read')
    for (const [path, headers = {}] of [
      [`/ipfs/${root.cid}`],
      [`/ipfs/${root.cid}?format=raw`],
      [`/ipfs/${root.cid}?format=car`],
      [`/ipfs/${CID.createV1(0x70, root.cid.multihash)}?format=raw`],
      [`/ipfs/${tree.cid}/child`],
      [`/ipfs/${tree.cid}/child`, { range: 'bytes=0-3' }],
      [`/ipfs/${tree.cid}/child`, { 'if-none-match': `"${child.cid}"` }],
      [`/ipfs/${tree.cid}/path`],
      [`/ipfs/${tree.cid}/p%61th`],
      [`/ipfs/${tree.cid}/path?format=tar`],
      [`/ipfs/${tree.cid}/path?format=car`],
      ['/', sub(root.cid)],
      ['/child', sub(tree.cid)],
      ['/path', sub(tree.cid)],
      // As the page that a folder brings.
      [`/ipfs/${frontPage.cid}/`],
      ['/', sub(frontPage.cid)],
      // By a website's own rules.
      ['/hidden', sub(site.cid)],
      ['/ipns/denied.example/beside'],
      ['/ipns/onward.example/beside'],
      ['/ipns/leads.example'],
    ] as [string, Record<string, string>?][]) {
      const answer = await gateway(path, headers)
      expect(answer?.status, path).toBe(410)
      for (const block of [root, child, byPath]) expect(holds(answer?.body, block), path).toBe(false)
    }
    expect(denials('read') - before).toBeGreaterThanOrEqual(18)
    // Its status is out before the denied block is met: it breaks off.
    for (const path of [`/ipfs/${tree.cid}?format=car`, `/ipfs/${tree.cid}?format=tar`])
      expect(holds((await gateway(path))?.body, child), path).toBe(false)

    for (const [path, headers = {}] of [
      [`/ipfs/${openRoot.cid}?format=raw`],
      [`/ipfs/${openTree.cid}?format=car`],
      [`/ipfs/${openTree.cid}?format=tar`],
      [`/ipfs/${tree.cid}/beside`],
      ['/beside', sub(tree.cid)],
      ['/gone', sub(site.cid)],
      ['/ipns/open.example/beside'],
    ] as [string, Record<string, string>?][]) {
      const answer = await gateway(path, headers)
      expect(answer?.status, path).toBe(200)
      expect(
        [openRoot, beside].some((block) => holds(answer?.body, block)),
        path,
      ).toBe(true)
    }
  })

  it('to programs of this machine: API, CAR and tar export, command line', async () => {
    const denied: [string, string][] = [
      ['cat', `/ipfs/${root.cid}`],
      ['cat', `${tree.cid}/child`],
      ['cat', `${tree.cid}/path`],
      ['cat', '/ipns/denied.example/beside'],
      ['cat', '/ipns/leads.example'],
      ['resolve', `${tree.cid}/child`],
      ['resolve', `${tree.cid}/path`],
      ['ls', root.cid.toString()],
      ['car', tree.cid.toString()],
      ['tar', tree.cid.toString()],
    ]
    for (const [way, address] of denied) {
      const answer = await api(holder, `/api/v1/content/${way}?address=${encodeURIComponent(address)}`)
      if (way !== 'car' && way !== 'tar') expect(answer.status, `${way} ${address}`).toBe(403)
      for (const block of [root, child]) expect(holds(answer.body, block), `${way} ${address}`).toBe(false)
    }
    for (const [way, address] of [
      ['cat', `${tree.cid}/beside`],
      ['car', openTree.cid.toString()],
      ['tar', openTree.cid.toString()],
      ['cat', '/ipns/open.example/beside'],
    ] as const) {
      const answer = await api(holder, `/api/v1/content/${way}?address=${encodeURIComponent(address)}`)
      expect(holds(answer.body, beside), `${way} ${address}`).toBe(true)
    }
    for (const way of ['providers', 'route'])
      expect((await api(holder, `/api/v1/${way}?cid=${root.cid}`)).body.toString()).toContain(
        'ERR_CONTENT_DENIED',
      )
    for (const name of ['denied.example', 'onward.example', 'leads.example'])
      expect((await api(holder, `/api/v1/names/resolve?name=${name}`)).status).toBe(403)
    expect((await api(holder, '/api/v1/names/resolve?name=open.example')).status).toBe(200)

    const command = (...args: string[]) =>
      p2pnode(['--home', holder.home, ...args, '--json'], { cwd: holder.home })
    const [cat, ls, get, open] = await Promise.all([
      command('cat', root.cid.toString()),
      command('ls', root.cid.toString()),
      command('get', `${tree.cid}/child`, '-o', 'child'),
      p2pnode(['--home', holder.home, 'cat', `${tree.cid}/beside`], { cwd: holder.home }),
    ])
    for (const result of [cat, ls, get]) {
      expect(result.json()).toMatchObject({ error: { code: 'ERR_CONTENT_DENIED' } })
      expect(result.code).toBe(6)
    }
    expect(open.stdout).toBe(Buffer.from(beside.bytes).toString())
  })
})

describe('what is on a denylist is not asked for', () => {
  it('not as a root, and not below one: the rest does not come whole', async () => {
    const strange = rawBlock('of others, on the list')
    const open = rawBlock('of others, not on it')
    const above = directory([
      ['a', open],
      ['b', strange],
    ])
    for (const { cid, bytes } of [strange, open, above]) plain.blocks.add(cid, bytes)
    holder.trust.block(strange.cid.toString())
    const asked: string[] = []
    plain.blocks.beforeGet = async (cid) => void asked.push(cid.toString())
    const denied = expect.objectContaining({ code: 'ERR_CONTENT_DENIED', kind: 'denied' })
    for (const [kind, params] of [
      ['get', { address: strange.cid.toString() }],
      ['pin', { address: strange.cid.toString() }],
      [
        'acquire',
        {
          cid: strange.cid.toString(),
          reason: 'auto',
          peer: plain.peerId.toString(),
          maxBytes: 1e6,
          pin: null,
        },
      ],
    ] as const)
      expect(await run(holder, kind, params), kind).toEqual(denied)
    expect(asked).toEqual([])
    expect(await run(holder, 'pin', { address: above.cid.toString() })).toEqual(denied)
    expect(await holder.storage.blocks.has(strange.cid)).toBe(false)
    expect(await run(holder, 'get', { address: `${above.cid}/a` })).toBeUndefined()
    expect(await holder.storage.blocks.has(open.cid)).toBe(true)
    plain.blocks.beforeGet = undefined

    // For other programs: the pinning service.
    const requested = async (cid: CID): Promise<string> => {
      const { requestid } = (await api(holder, '/pins', { cid: cid.toString() })).json<{
        requestid: string
      }>()
      let status = ''
      await eventually('the request has ended', async () => {
        status = (await api(holder, `/pins/${requestid}`)).json<{ status: string }>().status
        return status === 'failed' || status === 'pinned'
      })
      return status
    }
    expect(await requested(strange.cid)).toBe('failed')
    expect(await requested(open.cid)).toBe('pinned')
  })
})

describe('what is on a denylist is not told of', () => {
  it('by provider records, announcements, names and routing, and neither kept for others nor entrusted to them', async () => {
    const announced: string[] = []
    const token = (await readFile(join(other.home, 'api.token'), 'utf8')).trim()
    const end = new AbortController()
    const events = await fetch(`${other.ready.api}/api/v1/events`, {
      headers: { authorization: `Bearer ${token}` },
      signal: end.signal,
    })
    void (async () => {
      for await (const part of events.body!.pipeThrough(new TextDecoderStream())) announced.push(part)
    })().catch(() => {})

    expect(await pin(holder, root.cid)).toMatchObject({ code: 'ERR_CONTENT_DENIED' })
    for (const { cid } of [root, tree])
      await holder.storage.pins.add(cid, { name: 'by hand', kind: 'recursive', signal: soon() })
    await eventually('it announces', async () => {
      await holder.storage.pins.remove(openRoot.cid, { name: 'test', signal: soon() }).catch(() => {})
      await pin(holder, openRoot.cid)
      return announced.join('').includes(openRoot.cid.toString())
    })
    expect(announced.join('')).not.toContain(root.cid.toString())
    end.abort()

    const providers = async (cid: CID) =>
      (await gateway(`/routing/v1/providers/${cid}`, { accept: 'application/json' }))?.text ?? ''
    expect(await providers(root.cid)).not.toContain(holder.peer)
    expect(await providers(openRoot.cid)).toContain(holder.peer)

    for (const cid of [root.cid, child.cid])
      expect((await api(holder, '/api/v1/provide', { cid: cid.toString() })).status).toBe(403)
    expect((await api(holder, '/api/v1/provide', { cid: openRoot.cid.toString() })).status).toBe(200)

    const published = async (address: string) => (await api(holder, '/api/v1/names', { address })).status
    expect(await published(`/ipfs/${root.cid}`)).toBe(403)
    expect(await published(`/ipfs/${tree.cid}/path`)).toBe(403)
    expect(await published(`/ipfs/${openTree.cid}`)).toBe(200)

    // What another one asks to be kept here: 'open' is promised, 'denied' is not.
    await pin(other, openRoot.cid)
    await other.storage.blocks.put(root.cid, root.bytes)
    await other.storage.pins.add(root.cid, { name: 'x', kind: 'recursive', signal: soon() })
    const policy = { kind: 'copies', copies: 1, minScore: 0 }
    await api(other, '/api/v1/pin-policies', policy)
    const copies = async (node: WholeNode) => (await api(node, '/api/v1/copies')).body.toString()
    await eventually('the open one is kept', async () =>
      (await copies(other)).includes(openRoot.cid.toString()),
    )
    await eventually('the denied one was asked for', () => denials('keep') > 0)
    expect(await copies(other)).not.toContain(root.cid.toString())
    await api(holder, '/api/v1/pin-policies', policy)
    await eventually('it entrusts', async () => (await copies(holder)).includes(openRoot.cid.toString()))
    expect(await copies(holder)).not.toContain(root.cid.toString())
  })

  it('by records of names, which are neither passed on nor taken', async () => {
    const of = (node: WholeNode) => `${node.ready.gateway}/routing/v1/ipns`
    const accept = 'application/vnd.ipfs.ipns-record'
    const recordOf = (node: WholeNode, name: string) => fetch(`${of(node)}/${name}`, { headers: { accept } })
    for (const [block, type, sent] of [
      [openTree, accept, 200],
      // As the specification has it where there is none.
      [root, 'text/plain; charset=utf-8', 400],
    ] as const) {
      const key = `to-${sent}`
      await api(other, '/api/v1/names/keys', { key })
      const made = await api(other, '/api/v1/names', { address: `/ipfs/${block.cid}`, key })
      expect(made.status, made.body.toString()).toBe(200)
      const { name } = made.json<{ name: string }>()
      const record = await recordOf(other, name)
      expect(record.status).toBe(200)
      const body = await record.arrayBuffer()
      expect((await recordOf(holder, name)).headers.get('content-type')).toBe(type)
      const headers = { 'content-type': accept }
      const put = await fetch(`${of(holder)}/${name}`, { method: 'PUT', headers, body })
      expect(put.status, `to ${block.cid}`).toBe(sent)
    }
  })

  it('from the moment that a list comes: records are withdrawn, and told again when the list goes', async () => {
    await pin(holder, late.cid, 'late')
    const provide = async () =>
      (await api(holder, '/api/v1/stats')).json<{
        provide: { records: number; refused: { denied: number } }
      }>().provide
    const before = await provide()
    const list = join(holder.home, 'denylists', 'second.deny')
    await writeFile(list, `/ipfs/${late.cid}\n`)
    const status = async () => (await gateway(`/ipfs/${late.cid}?format=raw`))?.status
    await eventually('it is refused', async () => (await status()) === 410)
    await eventually('its record is withdrawn', async () => {
      const { refused } = await provide()
      return refused.denied === before.refused.denied + 1
    })
    const { records } = await provide()
    await writeFile(list, '\n')
    await eventually('it is given again', async () => (await status()) === 200)
    await eventually('it is told of again', async () => (await provide()).records === records + 1)
    expect((await api(holder, '/metrics')).body.toString()).toMatch(
      /p2pnode_trust_denials_total\{[^}]*reason="content-deny-list"[^}]*\} [1-9]/,
    )
  })
})
