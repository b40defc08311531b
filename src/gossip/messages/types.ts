import type { PeerId } from '@libp2p/interface'

/** A message as whoever listens gets it. */
export interface AppMessage {
  topic: string
  /** Text form of the peer id that signed it, or whose connection it came over. */
  sender: string
  /** To this node alone. */
  direct: boolean
  sequence: bigint
  /** By the sender's clock. */
  timeMs: number
  payload: Uint8Array
  /** Messages that this listener had no room for before this one; 0 where there were none. */
  droppedBefore: number
}

/** What applications say to each other through their nodes. */
export interface AppMessages {
  /**
   * To everybody who listens to the topic, oneself included. Resolves with the number of neighbours it went to, which may be 0.
   *
   * @throws ERR_MESSAGE_TOPIC, ERR_MESSAGE_TOO_LARGE, ERR_GOSSIP_STOPPED, ERR_GOSSIP_BUSY (more than others would pass on)
   */
  publish(topic: string, payload: Uint8Array): Promise<number>
  /**
   * To one peer; resolves when it was handed to somebody who listens there.
   *
   * @throws as `publish` but ERR_GOSSIP_BUSY, and ERR_MESSAGE_REFUSED, ERR_MESSAGE_UNSUPPORTED, ERR_PEER_UNREACHABLE, ERR_CANCELLED
   */
  send(peer: PeerId, topic: string, payload: Uint8Array, signal: AbortSignal): Promise<void>
  /**
   * Messages of one topic from now on, to all and to this node alone, until the signal aborts or the iteration ends.
   *
   * @throws ERR_MESSAGE_TOPIC, ERR_MESSAGE_LISTENERS
   */
  listen(topic: string, signal: AbortSignal): AsyncIterableIterator<AppMessage>
  /** Topics that somebody on this node listens to. */
  topics(): { topic: string; listeners: number }[]
  /** Neighbours that follow the part of the gossip in which the topic lies. @throws ERR_MESSAGE_TOPIC */
  peers(topic: string): string[]
  statistics(): {
    published: number
    sent: number
    heard: number
    repeated: number
    stale: number
    dropped: number
  }
}
