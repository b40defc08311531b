/**
 * Measures the protocol against a raw libp2p stream (TCP, Noise, yamux over loopback) between two processes.
 *
 *     node test/support/content-bench.ts [--size MIB] [--block KIB] [--rounds N] [--only raw|content] [--window MIB] [--frame KIB] [--profile DIR]
 *
 * Prints one JSON line. Blocks are served from memory and counted by the sink, so that it is the protocol that is
 * measured and no disk.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import type { Libp2p, PeerId, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { UnixFS } from 'ipfs-unixfs'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { pEvent } from 'p-event'
import type { ContentLimits } from '../../protocols/content/index.ts'
import { keyOf } from '../../protocols/content/hash.ts'
import { cidOf, MemoryBlocks, rawCid, startNode, type TestNode } from './content-protocol.ts'

const RAW_PROTOCOL = '/raw/1.0.0'
const MIB = 1024 * 1024
const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '3' },
    block: { type: 'string', default: '1024' },
    window: { type: 'string' },
    frame: { type: 'string' },
    only: { type: 'string' },
    child: { type: 'boolean', default: false },
    profile: { type: 'string' },
  },
})
const totalBytes = Number(values.size) * MIB
const blockBytes = Number(values.block) * 1024
const limits: Partial<ContentLimits> = {
  ...(values.window === undefined ? {} : { creditWindowBytes: Number(values.window) * MIB }),
  ...(values.frame === undefined ? {} : { frameDataBytes: Number(values.frame) * 1024 }),
}

/** A file of numbered blocks, two levels: 1024 links a node. */
function buildFile(blocks: MemoryBlocks): CID {
  const count = totalBytes / blockBytes
  const pattern = Buffer.alloc(blockBytes, 'p2pnode content bench')
  let level = Array.from({ length: count }, (_, index) => {
    const bytes = Buffer.from(pattern)
    bytes.writeUInt32BE(index)
    const cid = rawCid(bytes)
    blocks.add(cid, bytes)
    return { cid, size: blockBytes }
  })
  do {
    const parents: typeof level = []
    for (let at = 0; at < level.length; at += 1024) {
      const children = level.slice(at, at + 1024)
      const file = new UnixFS({ type: 'file', blockSizes: children.map(({ size }) => BigInt(size)) })
      const bytes = dagPb.encode({
        Data: file.marshal(),
        Links: children.map(({ cid, size }) => ({ Name: '', Hash: cid as never, Tsize: size })),
      })
      const cid = cidOf(0x70, bytes)
      blocks.add(cid, bytes)
      parents.push({ cid, size: children.reduce((sum, { size }) => sum + size, 0) })
    }
    level = parents
  } while (level.length > 1)
  return level[0]!.cid
}

async function serve(): Promise<void> {
  const blocks = new MemoryBlocks()
  const root = buildFile(blocks)
  const node = await startNode({ blocks, limits })
  await node.libp2p.handle(RAW_PROTOCOL, (stream) => void sendRaw(stream))
  process.send!({ root: root.toString(), addresses: node.libp2p.getMultiaddrs().map(String) })
  process.on('message', (message) => {
    if (message === 'usage') process.send!({ cpu: process.cpuUsage() })
  })
  process.on('disconnect', () => process.exit(0))
}

async function sendRaw(stream: Stream): Promise<void> {
  const chunk = Buffer.alloc(256 * 1024, 1)
  for (let sent = 0; sent < totalBytes; sent += chunk.length) {
    stream.send(chunk)
    while (stream.writableNeedsDrain) {
      await pEvent(stream, 'drain', { rejectionEvents: ['close'] })
      await Promise.resolve()
    }
  }
  await stream.close()
}

async function receiveRaw(libp2p: Libp2p, address: string): Promise<number> {
  const stream = await libp2p.dialProtocol(multiaddr(address), RAW_PROTOCOL)
  const start = performance.now()
  let received = 0
  stream.addEventListener('message', ({ data }) => {
    received += data.byteLength
  })
  await pEvent(stream, 'remoteCloseWrite')
  while (received < totalBytes) await new Promise((resolve) => setTimeout(resolve, 1))
  const seconds = (performance.now() - start) / 1000
  await stream.close()
  return seconds
}

/** Fetches into a sink that remembers the CIDs alone. */
async function fetchCounting(node: TestNode, root: CID, server: PeerId): Promise<number> {
  const seen = new Set<string>()
  const start = performance.now()
  const fetch = node.content.fetchDag(root, {
    scope: 'all',
    sources: [server],
    held: { get: async () => undefined, has: async (cid: CID) => seen.has(keyOf(cid)) },
    sink: { put: async (cid: CID) => void seen.add(keyOf(cid)) },
    signal: AbortSignal.timeout(120_000),
  })
  await fetch.done
  return (performance.now() - start) / 1000
}

async function measure(): Promise<void> {
  const exec = values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`]
  const child: ChildProcess = fork(import.meta.filename, [...process.argv.slice(2), '--child'], {
    execArgv: exec,
  })
  const [{ root, addresses }] = (await once(child, 'message')) as [{ root: string; addresses: string[] }]
  const node = await startNode({ limits })
  await node.libp2p.dial(multiaddr(addresses[0]!))
  const server = node.libp2p.getPeers()[0]!
  const cpuSeconds = async (): Promise<[number, number, number]> => {
    const answer = once(child, 'message')
    child.send('usage')
    const [{ cpu }] = (await answer) as [{ cpu: NodeJS.CpuUsage }]
    const own = process.cpuUsage()
    const thread = process.threadCpuUsage()
    return [own, thread, cpu].map(({ user, system }) => (user + system) / 1e6) as [number, number, number]
  }
  const rounds: object[] = []
  for (let round = 0; round < Number(values.rounds); round++) {
    const before = await cpuSeconds()
    const rawSeconds = values.only === 'content' ? 0 : await receiveRaw(node.libp2p, addresses[0]!)
    const between = await cpuSeconds()
    const contentSeconds = values.only === 'raw' ? 0 : await fetchCounting(node, CID.parse(root), server)
    const after = await cpuSeconds()
    const round1 = (value: number): number => Number(value.toFixed(2))
    rounds.push({
      rawMibPerSecond: Math.round(totalBytes / MIB / rawSeconds),
      contentMibPerSecond: Math.round(totalBytes / MIB / contentSeconds),
      ratio: Number((rawSeconds / contentSeconds).toFixed(2)),
      // Steadier than the clock on a busy machine: processor seconds of the receiver, of its main thread, of the sender.
      rawCpuSeconds: between.map((value, index) => round1(value - before[index]!)),
      contentCpuSeconds: after.map((value, index) => round1(value - between[index]!)),
    })
  }
  const rssMib = Math.round(process.memoryUsage.rss() / MIB)
  console.log(
    JSON.stringify({ sizeMib: Number(values.size), blockKib: Number(values.block), rounds, rssMib }),
  )
  child.disconnect()
  await node.stop()
}

await (values.child ? serve() : measure())
