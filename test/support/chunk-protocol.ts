import { randomBytes } from 'node:crypto'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Libp2p, PeerId, Stream } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { type DataHeader, isDataFrame, parseDataHeader } from '../../protocols/chunk/data-frame.ts'
import {
  ed25519Signer,
  pieceBytesOf,
  pieceRoot,
  type Signer,
  signIndex,
  signLease,
  slabIdOf,
} from '../../protocols/chunk/format/index.ts'
import { type Chunk, type ChunkLimits, chunk } from '../../protocols/chunk/index.ts'
import {
  decodeFromClient,
  decodeFromServer,
  type FromClient,
  type FromServer,
} from '../../protocols/chunk/messages.ts'
import type { Lease, Receipt, SlabId, SlabIndex, StoreOpen } from '../../protocols/chunk/types.ts'
import type { Bandwidth } from '../../protocols/shared/bandwidth.ts'
import { FrameReader } from '../../protocols/shared/framing.ts'
import { MemoryHolder } from './chunk-holder.ts'
import { RecordingTrust, silentLog, startBareNode } from './content-protocol.ts'
import { endNode } from './end-node.ts'

export const NETWORK = 'test'
export const PROTOCOL = `/p2pnode/${NETWORK}/chunk/1.0.0`
export const YEAR_MS = 365 * 24 * 60 * 60 * 1000

export interface ChunkNode {
  libp2p: Libp2p<{ chunk: Chunk }>
  peerId: PeerId
  chunk: Chunk
  holder: MemoryHolder
  trust: RecordingTrust
  signer: Signer
  stop(): Promise<void>
}

/** A libp2p node on loopback with the chunk service over columns in memory. */
export async function startChunkNode(
  options: { limits?: Partial<ChunkLimits>; bandwidth?: Bandwidth } = {},
): Promise<ChunkNode> {
  const privateKey = await generateKeyPair('Ed25519')
  const signer = ed25519Signer(privateKey.raw.subarray(0, 32))
  const holder = new MemoryHolder(NETWORK, signer)
  const trust = new RecordingTrust()
  const libp2p = await createLibp2p({
    privateKey,
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: 2 * 1024 * 1024 } })],
    connectionManager: { inboundConnectionThreshold: 1_000 },
    services: {
      identify: identify(),
      chunk: chunk({
        networkName: NETWORK,
        holder,
        trust,
        log: silentLog,
        ...(options.bandwidth === undefined ? {} : { bandwidth: options.bandwidth }),
        ...(options.limits === undefined ? {} : { limits: options.limits }),
      }),
    },
  })
  return {
    libp2p,
    peerId: libp2p.peerId,
    chunk: libp2p.services.chunk,
    holder,
    trust,
    signer,
    stop: () => endNode(libp2p),
  }
}

/** A slab with random pieces: enough to be stored, column by column, without any coding. */
export interface TestSlab {
  signer: Signer
  slab: SlabId
  index: SlabIndex
  lease: Lease
  /** By segment, then column. */
  pieces: Uint8Array[][]
  columnOf(column: number): Uint8Array[]
  open(column: number, changes?: Partial<StoreOpen>): StoreOpen
}

export function makeSlab(
  options: { segments?: number; sealedBytes?: number; k?: number; n?: number; group?: SlabId } = {},
): TestSlab {
  const { segments = 3, sealedBytes = 300_001, k = 2, n = 4 } = options
  const signer = ed25519Signer(randomBytes(32))
  const slab = slabIdOf(signer.publicKey)
  const group = options.group ?? slab
  const sizes = Array.from({ length: segments }, () => sealedBytes)
  const pieces = sizes.map((bytes) => Array.from({ length: n }, () => randomBytes(pieceBytesOf(bytes, k))))
  const roots = pieces.flatMap((ofSegment) => ofSegment.map((piece) => pieceRoot(piece)))
  const index = signIndex(signer, NETWORK, { group, k, n, sealedBytes: sizes, roots })
  const lease = signLease(signer, NETWORK, { untilMs: Date.now() + YEAR_MS, sequence: 1 })
  return {
    signer,
    slab,
    index,
    lease,
    pieces,
    columnOf: (column) => pieces.map((ofSegment) => ofSegment[column]!),
    open: (column, changes = {}) => ({
      publicKey: signer.publicKey,
      group,
      column,
      k,
      n,
      maxColumnBytes: index.columnBytes,
      lease: lease.signed,
      purpose: 'put',
      ...changes,
    }),
  }
}

/** Stores one column, whole. */
export async function storeColumn(
  from: ChunkNode,
  to: PeerId,
  made: TestSlab,
  column: number,
  signal: AbortSignal = AbortSignal.timeout(20_000),
): Promise<Receipt> {
  const stream = await from.chunk.store(to, made.open(column), signal)
  for (const piece of made.columnOf(column)) await stream.write(piece, signal)
  return await stream.finish(made.index, signal)
}

export async function collect(
  pieces: AsyncIterable<{ segment: number; bytes: Uint8Array }>,
): Promise<Map<number, Buffer>> {
  const all = new Map<number, Buffer>()
  for await (const { segment, bytes } of pieces) all.set(segment, Buffer.from(bytes))
  return all
}

export async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise
    return undefined
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

export async function statusOf(promise: Promise<unknown>): Promise<number | undefined> {
  try {
    await promise
    return undefined
  } catch (error) {
    return (error as { status?: number }).status ?? -1
  }
}

/** A client or a holder made by hand: reads frames, and sends any bytes. */
export interface RawEnd<Message> {
  stream: Stream
  send(...parts: Uint8Array[]): void
  messages: Message[]
  data: { header: DataHeader; bytes: Uint8Array }[]
  readonly dataBytes: number
  readonly isClosed: boolean
}

function rawEnd<Message>(
  stream: Stream,
  decode: (bytes: Uint8Array) => Message,
  onMessage?: (message: Message, end: RawEnd<Message>) => void,
): RawEnd<Message> {
  const end: RawEnd<Message> = {
    stream,
    send: (...parts) => void stream.send(Buffer.concat(parts)),
    messages: [],
    data: [],
    get dataBytes() {
      return end.data.reduce((sum, { bytes }) => sum + bytes.length, 0)
    },
    get isClosed() {
      return stream.status !== 'open' && stream.status !== 'closing'
    },
  }
  let header: DataHeader | undefined
  const reader = new FrameReader({
    payloadOffset: (head, frameBytes) => {
      if (!isDataFrame(head)) return undefined
      header = parseDataHeader(head, frameBytes)
      return header.headerBytes
    },
    onMessage: (bytes) => {
      const message = decode(bytes)
      end.messages.push(message)
      onMessage?.(message, end)
    },
    onPayload: (_header, bytes) => {
      const target = new Uint8Array(bytes)
      end.data.push({ header: header!, bytes: target })
      return target
    },
    onPayloadEnd: () => {},
  })
  stream.addEventListener('message', ({ data }) => reader.push(data))
  return end
}

/** A client made by hand, which keeps no rules but those that a test wants. */
export async function rawClient(libp2p: Libp2p, server: ChunkNode): Promise<RawEnd<FromServer>> {
  return rawEnd(await libp2p.dialProtocol(server.libp2p.getMultiaddrs(), PROTOCOL), decodeFromServer)
}

/** Handles the protocol with a script instead of the service. */
export async function scriptHolder(
  libp2p: Libp2p,
  onMessage: (message: FromClient, end: RawEnd<FromClient>) => void,
): Promise<RawEnd<FromClient>[]> {
  const ends: RawEnd<FromClient>[] = []
  await libp2p.handle(PROTOCOL, (stream) => {
    ends.push(rawEnd(stream, decodeFromClient, onMessage))
  })
  return ends
}

export { startBareNode }
