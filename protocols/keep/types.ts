import type { PeerId } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'

/** Values of Announcement.kind. */
export const KINDS = { other: 0, file: 1, directory: 2 } as const
export type AnnouncedKind = keyof typeof KINDS

/** New public content, as its author tells it: name, size and kind are claims. */
export interface Announcement {
  cid: CID
  name: string
  /** Null where the author does not tell. */
  sizeBytes: number | null
  kind: AnnouncedKind
  atMs: number
}

export interface Ask {
  cid: CID
  sizeBytes: number
  untilMs: number
  atMs: number
  asker: PeerId
  holder: PeerId
}

export interface Promised {
  cid: CID
  untilMs: number
  atMs: number
  asker: PeerId
  holder: PeerId
  /** As it was signed, to be shown to whoever doubts it. */
  signed: SignedBytes
}

export interface Release {
  cid: CID
  atMs: number
  asker: PeerId
  holder: PeerId
}

export interface SignedBytes {
  payload: Uint8Array
  signature: Uint8Array
}

/** Values of Response.state. */
export const STATES = { none: 0, fetching: 1, held: 2 } as const
export type KeptState = keyof typeof STATES

/** What a holder says of what it promised. */
export interface Kept {
  state: KeptState
  /** 0 where nothing was promised. */
  untilMs: number
}

/** The holder's side: asked by the protocol once a statement was checked. */
export interface Holder {
  /** Whether a request of this peer may be looked at now: each costs a signature check. */
  admits(peer: string): boolean
  /**
   * Whether to keep it, until when. What is accepted is durable when this resolves; it need not be held yet.
   *
   * @throws KeepRefusedError
   */
  accept(ask: Ask): Promise<{ untilMs: number }>
  release(release: Release): Promise<void>
  probe(peer: PeerId, cid: CID): Promise<Kept>
}

/** The service: asks peers that speak `/p2pnode/<network>/keep/<version>` to keep public content. */
export interface Keep {
  readonly protocols: string[]
  /** @throws KeepRefusedError, ERR_KEEP_FAILED, ERR_PROTOCOL_VIOLATION, ERR_CANCELLED */
  ask(
    peer: PeerId,
    what: { cid: CID; sizeBytes: number; untilMs: number },
    options: { signal: AbortSignal },
  ): Promise<Promised>
  /** @throws as `ask` */
  release(peer: PeerId, cid: CID, options: { signal: AbortSignal }): Promise<void>
  /** @throws as `ask` */
  probe(peer: PeerId, cid: CID, options: { signal: AbortSignal }): Promise<Kept>
}
