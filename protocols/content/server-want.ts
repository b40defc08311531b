import type { CID } from 'multiformats/cid'
import { Status } from '../shared/status.ts'
import type { CidsWant, DagWant } from './messages.ts'

/** A Want under way at the server: what was decided about it so far. */
export class OpenWant {
  readonly want: CidsWant | DagWant
  /** CIDs that count towards the bound on what one stream may have open. */
  readonly weight: number
  cancelled = false
  /** The byte budget is used up. */
  isSpent = false
  sentBytes = 0
  missingCount = 0
  refused = false
  /** What the client was told last: whether the blocks that follow are private. */
  isMarked = false
  /** Not held here and not yet told. */
  unreported: CID[] = []
  /** Set where the walk ended before its end. */
  #ending: number | undefined

  constructor(want: CidsWant | DagWant) {
    this.want = want
    this.weight = want.kind === 'cids' ? want.cids.length : 1 + want.held.length
  }

  /** True when nothing more is to be planned for it; what was planned is sent. */
  get isEnding(): boolean {
    return this.cancelled || this.#ending !== undefined
  }

  /** The first reason to end stays. */
  end(status: number): void {
    this.#ending ??= status
  }

  miss(cid: CID): void {
    this.missingCount += 1
    this.unreported.push(cid)
  }

  get status(): number {
    if (this.cancelled) return Status.cancelled
    if (this.refused) return Status.refused
    return this.#ending ?? (this.missingCount > 0 ? Status.incomplete : Status.ok)
  }
}

/** One block on its way from the store to the stream, or the end of a Want. */
export type Step = BlockStep | { kind: 'done'; open: OpenWant }

export interface BlockStep {
  kind: 'block'
  open: OpenWant
  cid: CID
  index: number | undefined
  bytes: Promise<Uint8Array | undefined>
  isRead: boolean
  /** Gives back the room in memory. */
  release: () => void
}
