/** What a topic's own check says about a message's bytes. */
export type Verdict =
  | 'accept'
  /** Not for us, or not now (too old, already known): neither delivered nor forwarded, nobody's fault. */
  | 'ignore'
  /** Whoever forwards this does not follow the protocol. */
  | 'reject'

/** A message as subscribers see it. */
export interface GossipMessage {
  /** Text form of the peer id whose key signed it. */
  author: string
  /** Short name of the topic. */
  topic: string
  data: Uint8Array
}

/** The rules of one topic; a service that gossips brings its own. */
export interface TopicRules {
  /** Short name; on the wire it stands below the network's prefix. */
  name: string
  /** Longest message in bytes; with its envelope at most 64 KiB. */
  maxBytes: number
  /**
   * Messages that one author may have forwarded by this node in a second, and how many at once after a silence. Of what is
   * said in one turn and travels together, each counts. What this node says itself keeps to a part of it (own-pace.ts).
   */
  authorRate: { perSecond: number; burst: number }
  /** Its messages have sequence and time of their own, and are checked by them; others get an envelope that has. */
  hasEnvelope?: boolean
  /**
   * How much of its author's rate a message takes, 1 where this is not given; or what becomes of it for nothing, where it is malformed,
   * too old, or was heard before: anybody can say again what its author once said. Remembers nothing of it. A throw means `ignore`.
   */
  cost?(message: GossipMessage): number | Exclude<Verdict, 'accept'>
  /** Looks at one message; must end within a few milliseconds. A throw means `ignore`. */
  check?(message: GossipMessage): Verdict | Promise<Verdict>
}

/** Longest message that any topic may allow: what DESIGN calls a control message. */
export const TOPIC_MAX_BYTES = 64 * 1024

/** `/p2pnode/<network>/gossip/<topic>`: topics of two networks differ, so that their messages never mix. */
export function fullTopic(networkName: string, name: string): string {
  return `/p2pnode/${networkName}/gossip/${name}`
}
