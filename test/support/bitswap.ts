import type { Libp2p, PeerId, Stream } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { type Bitswap, bitswap, type BitswapInit } from '../../protocols/bitswap/index.ts'
import {
  type EncodedMessage,
  MessageBuilder,
  type MessagePart,
  messageParts,
} from '../../protocols/bitswap/message.ts'
import { MessageReader } from '../../protocols/bitswap/message-reader.ts'
import { MemoryBlocks } from './content.ts'
import { RecordingTrust, rawCid, silentLog, startBareNode, until } from './content-protocol.ts'
import { endNode } from './end-node.ts'

export const PROTOCOL = '/ipfs/bitswap/1.2.0'

export interface BitswapNode {
  libp2p: Libp2p
  bitswap: Bitswap
  blocks: CountedBlocks
  trust: RecordingTrust
  /** CIDs that providers were looked for. */
  searched: string[]
  stop(): Promise<void>
}

/** Counts how often a block is loaded. */
export class CountedBlocks extends MemoryBlocks {
  gets = 0
  override async get(cid: CID): Promise<Uint8Array | undefined> {
    this.gets += 1
    return super.get(cid)
  }
  async add(bytes: Uint8Array): Promise<CID> {
    const cid = rawCid(bytes)
    await this.put(cid, bytes)
    return cid
  }
}

export async function startBitswapNode(
  options: Partial<Pick<BitswapInit, 'isPrivate' | 'bandwidth'>> & {
    providers?: (cid: CID) => { id: PeerId }[]
  } = {},
): Promise<BitswapNode> {
  const libp2p = await startBareNode()
  const blocks = new CountedBlocks()
  const trust = new RecordingTrust()
  const searched: string[] = []
  const service = bitswap({
    blocks,
    trust,
    isPrivate: options.isPrivate ?? (() => false),
    bandwidth: options.bandwidth,
    async *findProviders(cid) {
      searched.push(cid.toString())
      yield* options.providers?.(cid) ?? []
    },
    log: silentLog,
  })(libp2p)
  await service.start()
  return {
    libp2p,
    bitswap: service,
    blocks,
    trust,
    searched,
    async stop() {
      await service.stop()
      await endNode(libp2p)
    },
  }
}

/** A peer made by hand: it says what it is told to, and keeps what comes. */
export interface ScriptedPeer {
  libp2p: Libp2p
  received: MessagePart[]
  /** Streams on which something came. */
  inbound: Stream[]
  send(to: Libp2p, build: (message: MessageBuilder) => void): Promise<Stream>
  sendBytes(to: Libp2p, bytes: Uint8Array): Promise<Stream>
  stop(): Promise<void>
}

export async function startScripted(
  options: { onPart?: (part: MessagePart, peer: ScriptedPeer) => void; reads?: boolean } = {},
): Promise<ScriptedPeer> {
  const libp2p = await startBareNode()
  const peer: ScriptedPeer = {
    libp2p,
    received: [],
    inbound: [],
    async send(to, build) {
      const message = new MessageBuilder()
      build(message)
      return peer.sendBytes(to, joined(message.finish()))
    },
    async sendBytes(to, bytes) {
      const stream = await libp2p.dialProtocol(to.getMultiaddrs(), PROTOCOL)
      for (let at = 0; at < bytes.length; at += 64 * 1024) {
        if (stream.status !== 'open') break
        stream.send(bytes.subarray(at, at + 64 * 1024))
        await until(() => !stream.writableNeedsDrain || stream.status !== 'open')
      }
      return stream
    },
    stop: () => endNode(libp2p),
  }
  await libp2p.handle(
    PROTOCOL,
    (stream) => {
      peer.inbound.push(stream)
      if (options.reads === false) {
        stream.pause()
        return
      }
      const reader = new MessageReader()
      stream.addEventListener('message', ({ data }) => {
        for (const message of reader.push(data)) {
          for (const part of messageParts(message)) {
            peer.received.push(part)
            options.onPart?.(part, peer)
          }
        }
      })
    },
    { maxInboundStreams: 1_000 },
  )
  return peer
}

export function joined({ parts }: EncodedMessage): Uint8Array {
  return Buffer.concat(parts)
}

export function wantOf(
  cid: CID,
  changes: { wantsBlock?: boolean; isCancel?: boolean; priority?: number } = {},
) {
  return { cid, priority: 1, isCancel: false, wantsBlock: true, sendDontHave: true, ...changes }
}

export const blocksOf = (peer: ScriptedPeer): Buffer[] =>
  peer.received.flatMap((part) => (part.kind === 'block' ? [Buffer.from(part.bytes)] : []))

export const presencesOf = (peer: ScriptedPeer): [string, boolean][] =>
  peer.received.flatMap((part) => (part.kind === 'presence' ? [[part.cid.toString(), part.isHeld]] : []))
