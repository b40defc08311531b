/**
 * The two questions that every service asks of trust, and nothing else: may this peer do this (`decide`), and what did
 * it do (`report`). Services import this file alone, so the model behind it can change without them.
 *
 * A peer is named by the text form of its peer id. Types only: nothing here runs.
 */
import type { CID } from 'multiformats/cid'

/** What a peer wants to do, or what this node is about to do with it. */
export type Action =
  /** this node opens a connection to the peer */
  | 'dial'
  /** the peer opens a connection to this node */
  | 'accept'
  /** the peer asks for blocks by the content protocol; the subject is the CID */
  | 'serve-content'
  /** the peer asks for blocks by Bitswap; the subject is the CID */
  | 'serve-bitswap'
  /** this node asks the peer for blocks, or for pieces of sealed columns */
  | 'fetch'
  /** a gossip message that the peer forwarded; the subject is the topic */
  | 'gossip'
  /** the peer relays through this node */
  | 'relay'
  /** the peer stores sealed columns here */
  | 'store'
  /** the peer asks about sealed columns or for their pieces; the subject is the slab, where it is about one */
  | 'serve-chunk'
  /** this node stores sealed columns with the peer */
  | 'place'
  /** this node fetches from elsewhere for the peer */
  | 'proxy'
  /** the peer asks this node to keep public content for it */
  | 'keep'
  /** this node asks the peer to keep public content for it */
  | 'entrust'
  /** an entry of the public catalogue signed by the peer */
  | 'catalogue'
  /** a DHT record that the peer wants kept here */
  | 'dht-record'
  /** the peer says what it has seen of others */
  | 'recommend'

/**
 * What an action is about, where that matters: a CID (text form), a slab (hex), a network address (multiaddr), a topic.
 */
export interface Subject {
  cid?: string
  /** Below the CID, as it was asked for. */
  path?: readonly string[]
  slab?: string
  address?: string
  topic?: string
}

export type Decision =
  | { allowed: true }
  | {
      allowed: false
      /** Stable, counted by metrics: why it was refused. */
      reason:
        | 'deny-list'
        | 'not-on-allow-list'
        | 'banned'
        | 'score'
        | 'not-a-member'
        | 'rate'
        /** it is about content that nobody is given here */
        | 'content-deny-list'
    }

/** What is done with content where no peer is asked about: it is read by a program of this machine or the gateway, or told of to others. */
export type ContentUse = 'read' | 'tell'

/** Content by its CID, by the path below it as it was asked for, or by its name before that was resolved. */
export type NamedContent = { cid: CID; path?: readonly string[] } | { name: string; path: readonly string[] }

/** What of all content is given to nobody, whoever asks. `Policy.decide` asks the same where its subject is a CID. */
export interface ContentPolicy {
  /** Answers at once and never throws: it is asked for every block. */
  decideContent(use: ContentUse, content: NamedContent): Decision
  /** Calls back when what is given to nobody may be otherwise than before; returns the function that ends it. */
  onContentChange(listener: () => void): () => void
}

/** One kind of behaviour that was seen. Weights live with the model, not with whoever reports. */
export type EvidenceKind =
  /** a message that was well formed and correctly signed */
  | 'message-valid'
  /** a message that was malformed, oversized, or wrongly signed */
  | 'message-invalid'
  /** blocks arrived whole and verified; detail: bytes, durationMs */
  | 'transfer-served'
  /** a transfer ended early or stalled; detail: reason */
  | 'transfer-failed'
  /** a block whose bytes did not match its CID; detail: cid */
  | 'block-invalid'
  /** a piece of a sealed column that did not match its index; detail: slab, column, segment */
  | 'piece-invalid'
  /** the peer broke the rules of a protocol: credit exceeded, wrong order, oversize; detail: protocol, rule */
  | 'protocol-violation'
  /** the peer went over a limit of this node; detail: limit */
  | 'limit-exceeded'
  /** a connection to the peer was made or could not be made */
  | 'dial-succeeded'
  | 'dial-failed'
  /** a leaf of a piece was proven; detail: slab, column */
  | 'audit-passed'
  /** a proof was wrong, or there was none of what the peer had promised to keep; detail: slab, column */
  | 'audit-failed'
  /** a connected peer that says to keep a column did not answer for it in time; detail: slab, column */
  | 'audit-unanswered'
  /** a receipt was not signed by the peer or not for what it was sent, or what it promises was not kept; detail: slab, column */
  | 'receipt-broken'

/** Small, flat, storable facts about one piece of evidence; at most 16 keys, texts at most 256 characters. */
export type EvidenceDetail = Record<string, string | number | boolean>

export interface Policy {
  /** Answers at once and never throws: it is asked on hot paths. */
  decide(peer: string, action: Action, subject?: Subject): Decision
}

export interface Evidence {
  /** Queues the evidence for storage; bounded, never throws, never blocks. */
  report(peer: string, kind: EvidenceKind, detail?: EvidenceDetail): void
}

export interface Scores {
  /**
   * The peer's score in [0, 1]; 0.5 is a newcomer. For `storage` it is what the peer kept, served and proved that counts, and
   * nothing that it or others said. For `honesty` it does not matter how fast and reliable the peer is.
   */
  score(peer: string, purpose?: 'storage' | 'honesty'): number
}

export interface Proofs {
  /**
   * Whether the peer has lately proved to this node, more than once, that it keeps what it was given; or the operator says what it is
   * worth. Never what others say of it.
   */
  isProven(peer: string): boolean
}

export interface Trust extends Policy, Evidence, Scores, Proofs {}
