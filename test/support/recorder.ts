import type { Libp2p, Stream } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { startBareNode } from './content-protocol.ts'
import { endNode } from './end-node.ts'

/** What a recorder keeps at most, of all streams together. */
const MAX_RECORDED_BYTES = 64 * 1024 * 1024

/**
 * A peer that says it speaks whatever it is told to, answers but the DHT's messages with nothing, and keeps every byte that comes. Looking for the digest
 * of a CID in them finds it in a want, a query, a record or a message, however that is encoded around it.
 */
export interface Recorder {
  libp2p: Libp2p
  /** Protocols over which something came. */
  heard(): string[]
  /** Over which of them this CID came, as bytes or as text. */
  saw(cid: CID): string[]
  stop(): Promise<void>
}

export async function startRecorder(protocols: readonly string[]): Promise<Recorder> {
  const libp2p = await startBareNode()
  const streams: { protocol: string; parts: Uint8Array[] }[] = []
  let recordedBytes = 0
  const record = (protocol: string) => (stream: Stream) => {
    const parts: Uint8Array[] = []
    streams.push({ protocol, parts })
    stream.addEventListener('message', ({ data }) => {
      recordedBytes += data.byteLength
      if (recordedBytes <= MAX_RECORDED_BYTES) parts.push(data.subarray().slice())
      // A ping, or a message of the DHT, sent back, answers it: alive, and knows nobody nearer.
      if (/\/(kad|ping)\//.test(protocol)) stream.send(data.subarray().slice())
    })
  }
  const own = libp2p.getProtocols()
  for (const protocol of protocols.filter((one) => !own.includes(one))) {
    await libp2p.handle(protocol, record(protocol), { maxInboundStreams: 1_000 })
  }
  return {
    libp2p,
    heard: () => [
      ...new Set(streams.filter(({ parts }) => parts.length > 0).map(({ protocol }) => protocol)),
    ],
    saw(cid) {
      const digest = Buffer.from(cid.multihash.digest)
      const text = Buffer.from(cid.toString())
      return streams
        .filter(({ parts }) => {
          const bytes = Buffer.concat(parts)
          return bytes.includes(digest) || bytes.includes(text)
        })
        .map(({ protocol }) => protocol)
    },
    stop: () => endNode(libp2p),
  }
}
