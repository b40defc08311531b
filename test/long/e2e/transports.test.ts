import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { type Daemon, Lab } from '../../support/daemon.ts'
import { eventually } from '../../support/network.ts'

let lab = new Lab()
afterEach(async () => {
  await lab.close()
  lab = new Lab()
})

const PEER = '12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8'
const CERTHASH = 'uEiAsGPzpiPGQzSlVHRXrUCT5EkTV7YFrV4VZ3hpEKTd_zg'
const OFF = ['tcp', 'websocket', 'quic', 'webrtcDirect', 'webrtc']
const only = (...names: string[]): Record<string, string> =>
  Object.fromEntries(OFF.map((name) => [`network.transports.${name}`, String(names.includes(name))]))

/** A folder with files of several sizes, below and above a block. */
async function folder(): Promise<string> {
  const root = join(await lab.folder(), 'tree')
  await mkdir(join(root, 'deep', 'er'), { recursive: true })
  await writeFile(join(root, 'empty'), '')
  await writeFile(join(root, 'small.txt'), 'small')
  await writeFile(join(root, 'deep', 'block.bin'), randomBytes(2 ** 20))
  await writeFile(join(root, 'deep', 'er', 'large.bin'), randomBytes(5 * 2 ** 20 + 17))
  return root
}

/** The main job: what one node added is what the other gets. */
async function bringsFolder(from: Daemon, to: Daemon, connect: string): Promise<string> {
  const root = await folder()
  const { cid } = await from.json<{ cid: string }>(['add', root])
  const { transport } = await to.json<{ transport: string }>(['connect', connect])
  const out = join(await lab.folder(), 'out')
  await to.json(['get', cid, '-o', out])
  execFileSync('diff', ['-r', root, out])
  return transport
}

describe('an address where nobody is', () => {
  it.each([
    '/ip4/127.0.0.1/udp/9/quic-v1',
    `/ip4/127.0.0.1/udp/9/webrtc-direct/certhash/${CERTHASH}/p2p/${PEER}`,
  ])('is given up within its time: %s', async (address) => {
    const node = await lab.daemon()
    const { code, stderr, stdout } = await node.run(['connect', address])
    expect(stdout + stderr).toMatch(/did not answer within 1\d{4} ms/)
    expect(code).toBe(7)
  })
})

describe('a folder goes from one daemon to another', () => {
  it.each([
    ['tcp', '/ip4/127.0.0.1/tcp/0', 'tcp'],
    ['websocket', '/ip4/127.0.0.1/tcp/0/ws', 'ws'],
    ['quic', '/ip4/127.0.0.1/udp/0/quic-v1', 'quic-v1'],
    ['webrtcDirect', '/ip4/127.0.0.1/udp/0/webrtc-direct', 'webrtc-direct'],
  ])('over %s alone', async (name, listen, shown) => {
    const set = { ...only(name), 'network.relay.client': 'never' }
    const seed = await lab.daemon({ noListen: true, args: ['--listen', listen], set })
    const other = await lab.daemon({ noListen: true, set: { ...set, 'network.listen': '[]' } })
    expect(await bringsFolder(seed, other, seed.ready.multiaddrs[0] ?? '')).toBe(shown)
  })

  it.each([
    ['through a relay alone', 'p2p-circuit', '[]'],
    ['over WebRTC that a relay arranged', 'webrtc', '["/webrtc"]'],
  ])('%s', async (_name, shown, listen) => {
    const relay = await lab.daemon({ role: 'master' })
    // Nothing else is listened on: there is no direct way.
    const hidden = await lab.daemon({
      noListen: true,
      bootstrap: [relay.address],
      set: { 'network.listen': listen, 'network.relay.client': 'always', 'network.holePunching': 'false' },
    })
    const isShown = (text: string): boolean => text.replace(/\/p2p\/[^/]+$/, '').endsWith(`/${shown}`)
    let way: string | undefined
    await eventually(
      'there is a slot',
      async () => {
        way = (await hidden.json<{ multiaddrs: string[] }>(['id'])).multiaddrs.find(isShown)
        return way !== undefined
      },
      30_000,
    )
    const other = await lab.daemon({ noListen: true, set: { 'network.listen': '[]' } })
    expect(await bringsFolder(hidden, other, way ?? '')).toBe(shown)
  })
})
