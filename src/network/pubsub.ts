import { createHash } from 'node:crypto'
import type { GossipSub, GossipSubComponents } from '@libp2p/gossipsub'
import { gossipsub, StrictSign } from '@libp2p/gossipsub'
import type { RPC } from '@libp2p/gossipsub/message'
import type { TopicScoreParams } from '@libp2p/gossipsub/score'
import { createTopicScoreParams } from '@libp2p/gossipsub/score'
import { isPrivateIp } from '@libp2p/utils'
import { withBoundedReads } from './bounded-reads.ts'
import { GOSSIP_LIMITS } from './limits.ts'
import type { NetworkSettings } from './settings.ts'

/** What the gossip service knows and the transport below it must be told when it is built. */
export interface GossipRules {
  /** Full topic names. Subscriptions and messages of others are dropped before they take memory. */
  readonly topics: readonly string[]
  /**
   * Added to a peer's score, in gossipsub's units: 0 is neutral, below −80 nothing of the peer is read any more.
   * Asked about once a second for each peer.
   */
  peerScore(peer: string): number
}

export const NO_GOSSIP: GossipRules = { topics: [], peerScore: () => 0 }

/**
 * The set of hosts that many peers may share without being taken for one attacker's. Without it, IP colocation scoring
 * graylists every peer of a laboratory with more than ten nodes on one machine, and nothing arrives. Loopback is always
 * in it; in a private network all private addresses are, since a whole site may sit behind one of them.
 */
class SharedHosts extends Set<string> {
  readonly #isShared: (host: string) => boolean

  constructor(mode: NetworkSettings['network']['mode']) {
    super()
    this.#isShared =
      mode === 'private'
        ? (host) => isPrivateIp(host) === true
        : (host) => host.startsWith('127.') || host === '::1'
  }

  override has(host: string): boolean {
    return this.#isShared(host)
  }
}

/**
 * Scoring of one topic. What is rare must not count as silence, so that deliveries missing in the mesh cost nothing;
 * invalid messages (wrong signature, refused by the validator) cost the square of their number: the third one brings a
 * peer below the graylist threshold of −80, and half is forgiven after about a minute.
 */
const TOPIC_SCORE: Partial<TopicScoreParams> = {
  topicWeight: 1,
  timeInMeshWeight: 0.01,
  timeInMeshQuantum: 1_000,
  timeInMeshCap: 300,
  firstMessageDeliveriesWeight: 0.1,
  firstMessageDeliveriesCap: 50,
  meshMessageDeliveriesWeight: 0,
  meshFailurePenaltyWeight: 0,
  invalidMessageDeliveriesWeight: -10,
  invalidMessageDeliveriesDecay: 0.99,
}

/**
 * Tells copies of a message apart from everything else before their signature is looked at: every neighbour in the mesh brings one,
 * and checking it costs ten times what this does. gossipsub remembers the id only once the signature was right, and it covers
 * every byte, so that nothing made up can take the place of a message or be taken for one.
 */
function copyId({ from, data, seqno, topic, signature, key }: RPC.Message): string {
  const hash = createHash('sha256')
  for (const part of [from, data, seqno, topic, signature, key]) {
    const bytes = typeof part === 'string' ? Buffer.from(part) : (part ?? NOTHING)
    // Lengths between them: what ends one field must not begin the next.
    hash.update(`${bytes.byteLength}:`).update(bytes)
  }
  return hash.digest('base64')
}

const NOTHING = new Uint8Array()

/**
 * gossipsub with every bound set. Messages are signed by their author (StrictSign); nothing falls back to floodsub, which
 * has no scoring. One RPC and one message of a peer are handled at a time, and what it sends meanwhile is held back
 * (bounded-reads.ts).
 */
export function boundedGossipsub(
  rules: GossipRules,
  { network }: NetworkSettings,
): (components: GossipSubComponents) => GossipSub {
  const create = gossipsub({
    globalSignaturePolicy: StrictSign,
    fallbackToFloodsub: false,
    allowedTopics: [...rules.topics],
    // A node alone in its network may publish: anti-entropy brings the message to those who come later.
    allowPublishToZeroTopicPeers: true,
    emitSelf: false,
    // Peer exchange lets a stranger name whom we dial; discovery is the DHT's.
    doPX: false,
    awaitRpcHandler: true,
    awaitRpcMessageHandler: true,
    maxInboundStreams: GOSSIP_LIMITS.maxInboundStreams,
    maxOutboundStreams: GOSSIP_LIMITS.maxOutboundStreams,
    maxInboundDataLength: GOSSIP_LIMITS.maxRpcBytes,
    maxOutboundBufferSize: GOSSIP_LIMITS.maxOutboundBufferBytes,
    maxTopicBytesPerPeer: GOSSIP_LIMITS.maxTopicBytesPerPeer,
    seenTTL: GOSSIP_LIMITS.seenTtlMs,
    fastMsgIdFn: copyId,
    decodeRpcLimits: {
      maxSubscriptions: GOSSIP_LIMITS.maxSubscriptionsPerRpc,
      maxMessages: GOSSIP_LIMITS.maxMessagesPerRpc,
      maxControlMessages: GOSSIP_LIMITS.maxControlPerRpc,
      maxIhaveMessageIDs: GOSSIP_LIMITS.maxIdsPerRpc,
      maxIwantMessageIDs: GOSSIP_LIMITS.maxIdsPerRpc,
      maxIdontwantMessageIDs: GOSSIP_LIMITS.maxIdsPerRpc,
      maxPeerInfos: GOSSIP_LIMITS.maxPeersPerPrune,
    },
    scoreParams: {
      appSpecificScore: (peer) => rules.peerScore(peer),
      appSpecificWeight: 1,
      IPColocationFactorWhitelist: new SharedHosts(network.mode),
      topics: Object.fromEntries(rules.topics.map((topic) => [topic, createTopicScoreParams(TOPIC_SCORE)])),
    },
  })
  return ({ privateKey, peerId, peerStore, registrar, connectionManager, logger }) =>
    create({
      privateKey,
      peerId,
      peerStore,
      registrar: withBoundedReads(registrar),
      connectionManager,
      logger,
    })
}
