import { createHash, randomBytes } from 'node:crypto'
import { noise } from '@libp2p/noise'
import { identify } from '@libp2p/identify'
import type { Libp2p, PeerId, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { exporter } from 'ipfs-unixfs-exporter'
import { importer } from 'ipfs-unixfs-importer'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import {
  type CapabilitiesInit,
  content,
  type Content,
  type ContentLimits,
  type ProxyServer,
} from '../../protocols/content/index.ts'
import {
  encodeBlockHeader,
  isBlockFrame,
  type ParsedBlockHeader,
  parseBlockHeader,
} from '../../protocols/content/data-frame.ts'
import { keyOf } from '../../protocols/content/hash.ts'
import {
  decodeFromClient,
  decodeFromServer,
  type FromClient,
  type FromServer,
} from '../../protocols/content/messages.ts'
import type { Bandwidth } from '../../protocols/shared/bandwidth.ts'
import { FrameReader } from '../../protocols/shared/framing.ts'
import type { Decision, EvidenceDetail, EvidenceKind } from '../../src/trust/contract.ts'
import type { Logger } from '../../src/telemetry/types.ts'
import { endNode } from './end-node.ts'

const quiet = (): void => {}

export const silentLog: Logger = {
  trace: quiet,
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: quiet,
  child: () => silentLog,
}

/** Blocks in memory, with counts of what was asked and hooks to make it slow. */
export class MemoryBlocks {
  readonly #blocks = new Map<string, Uint8Array>()
  readonly cids: CID[] = []
  gets = 0
  puts = 0
  /** Awaited before each put resolves. */
  beforePut: ((cid: CID) => Promise<void>) | undefined
  beforeGet: ((cid: CID) => Promise<void>) | undefined

  async get(cid: CID): Promise<Uint8Array | undefined> {
    this.gets += 1
    await this.beforeGet?.(cid)
    return this.#blocks.get(keyOf(cid))
  }

  async has(cid: CID): Promise<boolean> {
    return this.#blocks.has(keyOf(cid))
  }

  async put(cid: CID, bytes: Uint8Array): Promise<void> {
    this.puts += 1
    await this.beforePut?.(cid)
    this.add(cid, bytes)
  }

  add(cid: CID, bytes: Uint8Array): void {
    if (!this.#blocks.has(keyOf(cid))) this.cids.push(cid)
    this.#blocks.set(keyOf(cid), bytes)
  }

  delete(cid: CID): void {
    this.#blocks.delete(keyOf(cid))
    const index = this.cids.findIndex((other) => other.equals(cid))
    if (index >= 0) this.cids.splice(index, 1)
  }

  readonly peek = (cid: CID): Uint8Array | undefined => this.#blocks.get(keyOf(cid))

  /** What the exporter reads. */
  asBlockstore(): { get(cid: CID): AsyncGenerator<Uint8Array> } {
    const { peek } = this
    return {
      get: async function* (cid: CID) {
        yield peek(cid)!
      },
    }
  }

  get size(): number {
    return this.#blocks.size
  }

  get bytes(): number {
    let sum = 0
    for (const block of this.#blocks.values()) sum += block.length
    return sum
  }

  clone(keep: (cid: CID, index: number) => boolean = () => true): MemoryBlocks {
    const copy = new MemoryBlocks()
    for (const [index, cid] of this.cids.entries()) if (keep(cid, index)) copy.add(cid, this.peek(cid)!)
    return copy
  }
}

export interface ReportedEvidence {
  peer: string
  kind: EvidenceKind
  detail: EvidenceDetail
}

/** Allows everything but what `deny` says, and remembers what was reported. */
export class RecordingTrust {
  readonly evidence: ReportedEvidence[] = []
  deny: (peer: string, action: string, cid: string | undefined) => boolean = () => false

  decide(peer: string, action: string, subject?: { cid?: string }): Decision {
    return this.deny(peer, action, subject?.cid) ? { allowed: false, reason: 'deny-list' } : { allowed: true }
  }

  report(peer: string, kind: EvidenceKind, detail: EvidenceDetail = {}): void {
    this.evidence.push({ peer, kind, detail })
  }

  of(kind: EvidenceKind): ReportedEvidence[] {
    return this.evidence.filter((entry) => entry.kind === kind)
  }
}

export interface TestNode {
  libp2p: Libp2p<{ content: Content }>
  peerId: PeerId
  content: Content
  blocks: MemoryBlocks
  trust: RecordingTrust
  stop(): Promise<void>
}

export const NETWORK = 'test'
export const PROTOCOL = `/p2pnode/${NETWORK}/content/1.1.0`

/** A libp2p node on loopback with the content service over a store in memory. */
export async function startNode(
  options: {
    blocks?: MemoryBlocks
    limits?: Partial<ContentLimits>
    bandwidth?: Bandwidth
    capabilities?: CapabilitiesInit
    isPrivate?: (cid: CID) => boolean
    proxy?: ProxyServer
  } = {},
): Promise<TestNode> {
  const blocks = options.blocks ?? new MemoryBlocks()
  const trust = new RecordingTrust()
  const libp2p = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: 2 * 1024 * 1024 } })],
    connectionManager: { inboundConnectionThreshold: 1_000 },
    services: {
      identify: identify(),
      content: content({
        networkName: NETWORK,
        blocks,
        trust,
        log: silentLog,
        ...(options.bandwidth === undefined ? {} : { bandwidth: options.bandwidth }),
        ...(options.capabilities === undefined ? {} : { capabilities: options.capabilities }),
        ...(options.isPrivate === undefined ? {} : { isPrivate: options.isPrivate }),
        ...(options.proxy === undefined ? {} : { proxy: options.proxy }),
        limits: { sourceIdleMs: 1_000, ...options.limits },
      }),
    },
  })
  return {
    libp2p,
    peerId: libp2p.peerId,
    content: libp2p.services.content,
    blocks,
    trust,
    stop: () => endNode(libp2p),
  }
}

/** A libp2p node without the service: for hand-made clients and servers. */
export async function startBareNode(): Promise<Libp2p> {
  return createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: 2 * 1024 * 1024 } })],
    connectionManager: { inboundConnectionThreshold: 1_000 },
    services: { identify: identify() },
  })
}

export async function connect(from: Libp2p, to: Libp2p): Promise<void> {
  await from.dial(to.getMultiaddrs())
}

/** Waits until `check` holds, by looking again each few milliseconds; fails after `timeoutMs`. */
export async function until(check: () => boolean, timeoutMs = 10_000): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!check()) {
    if (performance.now() > end) throw new Error(`not so within ${timeoutMs} ms: ${check.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export function rawCid(bytes: Uint8Array): CID {
  return CID.createV1(0x55, Digest.create(0x12, createHash('sha256').update(bytes).digest()))
}

export function cidOf(code: number, bytes: Uint8Array): CID {
  return CID.createV1(code, Digest.create(0x12, createHash('sha256').update(bytes).digest()))
}

/** Imports files as UnixFS into `blocks`; returns the entries by path, '' for the wrapping directory. */
export async function importFiles(
  blocks: MemoryBlocks,
  files: { path: string; content: Uint8Array }[],
  options: { chunkBytes?: number; shardAbove?: number; wrap?: boolean } = {},
): Promise<Map<string, CID>> {
  const entries = new Map<string, CID>()
  const chunkBytes = options.chunkBytes ?? 64 * 1024
  const store = {
    put: async (cid: CID, bytes: Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>) => {
      blocks.add(cid, bytes as Uint8Array)
      return cid
    },
  }
  async function* candidates(): AsyncGenerator<{ path: string; content: Uint8Array }> {
    yield* files
  }
  async function* chunker(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const bytes of source) {
      for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
      if (bytes.length === 0) yield bytes
    }
  }
  const imported = importer(candidates(), store as never, {
    rawLeaves: true,
    cidVersion: 1,
    wrapWithDirectory: options.wrap ?? files.length > 1,
    chunker: chunker as never,
    ...(options.shardAbove === undefined ? {} : { shardSplitThresholdBytes: options.shardAbove }),
  })
  for await (const entry of imported) entries.set(entry.path ?? '', entry.cid)
  return entries
}

/** The CID at a path, as the UnixFS exporter finds it. */
export async function cidAt(blocks: MemoryBlocks, root: CID, path: string): Promise<CID> {
  if (path === '') return root
  return (await exporter(`${root.toString()}/${path}`, blocks.asBlockstore() as never)).cid
}

/** One file of random bytes; returns its root. */
export async function importRandomFile(
  blocks: MemoryBlocks,
  sizeBytes: number,
  chunkBytes = 64 * 1024,
): Promise<{ root: CID; content: Uint8Array }> {
  const bytes = randomBytes(sizeBytes)
  const entries = await importFiles(blocks, [{ path: 'file', content: bytes }], { chunkBytes, wrap: false })
  return { root: entries.get('file')!, content: bytes }
}

/** A server made by hand: what it is asked, and how to answer with any bytes. */
export interface ScriptedPeer {
  stream: Stream
  send(bytes: Uint8Array): void
  received: FromClient[]
}

/** Handles the protocol with a script instead of the service. */
export async function scriptServer(
  libp2p: Libp2p,
  onMessage: (message: FromClient, peer: ScriptedPeer) => void,
  protocol = PROTOCOL,
): Promise<ScriptedPeer[]> {
  const peers: ScriptedPeer[] = []
  await libp2p.handle(protocol, (stream) => {
    const peer: ScriptedPeer = { stream, received: [], send: (bytes) => void stream.send(bytes) }
    peers.push(peer)
    const reader = new FrameReader({
      payloadOffset: () => undefined,
      onMessage: (bytes) => {
        const message = decodeFromClient(bytes)
        peer.received.push(message)
        onMessage(message, peer)
      },
      onPayload: () => new Uint8Array(0),
      onPayloadEnd: () => {},
    })
    stream.addEventListener('message', ({ data }) => reader.push(data))
  })
  return peers
}

/** The frames of a block, as a server would send them. */
export function blockFrames(
  want: number,
  name: { index: number } | { cid: CID },
  bytes: Uint8Array,
  frameBytes = 256 * 1024,
): Uint8Array {
  const parts: Uint8Array[] = []
  const index = 'index' in name ? name.index : undefined
  const cid = 'cid' in name ? name.cid.bytes : undefined
  let offset = 0
  do {
    const data = bytes.subarray(offset, offset + frameBytes)
    parts.push(encodeBlockHeader({ want, index, cid, offset, totalBytes: bytes.length }, data.length), data)
    offset += data.length
  } while (offset < bytes.length)
  return Buffer.concat(parts)
}

export interface ReceivedBlock {
  want: number
  index: number | undefined
  cid: CID | undefined
  bytes: Uint8Array
}

/** A client made by hand, which keeps no rules but those that a test wants. */
export interface RawClient {
  stream: Stream
  send(bytes: Uint8Array): void
  blocks: ReceivedBlock[]
  messages: FromServer[]
  dataBytes: number
  readonly isClosed: boolean
}

export async function rawClient(libp2p: Libp2p, server: TestNode, protocol = PROTOCOL): Promise<RawClient> {
  const stream = await libp2p.dialProtocol(server.libp2p.getMultiaddrs(), protocol)
  const client: RawClient = {
    stream,
    send: (bytes) => void stream.send(bytes),
    blocks: [],
    messages: [],
    dataBytes: 0,
    get isClosed() {
      return stream.status !== 'open' && stream.status !== 'closing'
    },
  }
  let header: ParsedBlockHeader | undefined
  let block: ReceivedBlock | undefined
  const reader = new FrameReader({
    payloadOffset: (head, frameBytes) => {
      if (!isBlockFrame(head)) return undefined
      header = parseBlockHeader(head, frameBytes)
      return header.headerBytes
    },
    onMessage: (bytes) => client.messages.push(decodeFromServer(bytes)),
    onPayload: (_header, bytes) => {
      const { want, index, cid, offset, totalBytes } = header!
      client.dataBytes += bytes
      block ??= {
        want,
        index,
        cid: cid === undefined ? undefined : CID.decode(cid),
        bytes: new Uint8Array(totalBytes),
      }
      return block.bytes.subarray(offset, offset + bytes)
    },
    onPayloadEnd: () => {
      if (header!.offset + header!.dataBytes < header!.totalBytes) return
      client.blocks.push(block!)
      block = undefined
    },
  })
  stream.addEventListener('message', ({ data }) => reader.push(data))
  return client
}
