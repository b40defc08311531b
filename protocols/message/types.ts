import type { PeerId } from '@libp2p/interface'

export interface Envelope {
  topic: string
  /** Greater than that of every earlier message of the sender. */
  sequence: bigint
  /** By the sender's clock. */
  timeMs: number
  payload: Uint8Array
}

/** What a service says to all: signed by its author for gossip, under a topic that says what it is. */
export interface Bundle {
  /** Greater than that of every earlier bundle of the author under the topic. */
  sequence: bigint
  /** By the author's clock. */
  timeMs: number
  payloads: readonly Uint8Array[]
}

export interface Receipt {
  /** A number of `Status`. */
  status: number
  /** That of the envelope. */
  sequence: bigint
}

/** Says what becomes of a message; a number of `Status`. Must end within a few milliseconds. */
export type TakeMessage = (sender: string, envelope: Envelope) => number

export interface Messages {
  readonly protocols: readonly string[]
  /**
   * Sends one message to one peer and resolves when the peer has taken it.
   *
   * @throws ERR_MESSAGE_UNSUPPORTED (the peer does not know the protocol), ERR_MESSAGE_REFUSED (with `status` in its details),
   * ERR_PEER_UNREACHABLE, ERR_CANCELLED
   */
  send(peer: PeerId, envelope: Envelope, signal: AbortSignal): Promise<void>
}
