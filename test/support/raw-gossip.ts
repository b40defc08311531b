import { generateKeyPair, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { RPC } from '@libp2p/gossipsub/message'
import type { PrivateKey } from '@libp2p/interface'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { pEvent } from 'p-event'
import { frame } from '../../protocols/shared/framing.ts'

const PROTOCOL = '/meshsub/1.2.0'
const SIGNED_PREFIX = new TextEncoder().encode('libp2p-pubsub:')

/** One message as it travels. */
export type RawMessage = RPC.Message

/**
 * Messages of one author, signed as the specification of pubsub has it (libp2p/specs, pubsub/README.md, "Message Signing"):
 * made apart from their sending, so that whoever sends them has nothing else to do.
 */
export async function signMessages(
  privateKey: PrivateKey,
  topic: string,
  payloads: Iterable<Uint8Array>,
): Promise<RawMessage[]> {
  const from = peerIdFromPrivateKey(privateKey).toMultihash().bytes
  const key = publicKeyToProtobuf(privateKey.publicKey)
  const messages: RawMessage[] = []
  let sequence = BigInt(Date.now()) * 1_000_000n
  for (const data of payloads) {
    const seqno = new Uint8Array(8)
    new DataView(seqno.buffer).setBigUint64(0, ++sequence)
    const unsigned = { from, data, seqno, topic }
    const signature = await privateKey.sign(Buffer.concat([SIGNED_PREFIX, RPC.Message.encode(unsigned)]))
    messages.push({ ...unsigned, signature, key })
  }
  return messages
}

export interface RawSpeaker {
  readonly peer: string
  readonly privateKey: PrivateKey
  /** One frame with these messages; waits while the other side does not read. @throws where it closes the stream */
  send(messages: readonly RawMessage[]): Promise<void>
  stop(): Promise<void>
}

/** A neighbour that sends what it is told to and hears nothing: no gossipsub of its own. */
export async function rawSpeaker(address: string): Promise<RawSpeaker> {
  const privateKey = await generateKeyPair('Ed25519')
  const node = await createLibp2p({
    privateKey,
    addresses: { listen: [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
  })
  const signal = AbortSignal.timeout(20_000)
  const connection = await node.dial(multiaddr(address), { signal })
  const stream = await connection.newStream(PROTOCOL, { signal })
  return {
    peer: node.peerId.toString(),
    privateKey,
    async send(messages) {
      const isRoom = stream.send(frame(RPC.encode({ subscriptions: [], messages: [...messages] })))
      if (!isRoom && stream.writableNeedsDrain) await pEvent(stream, 'drain', { rejectionEvents: ['close'] })
    },
    stop: async () => node.stop(),
  }
}
