import type { CID } from 'multiformats/cid'
import type { Frontier, Item } from './frontier.ts'
import { isSupportedHash, keyOf } from './hash.ts'
import { FIRST_WANT_BLOCKS, FIRST_WANT_BYTES } from './limits.ts'
import type { DagWant } from './messages.ts'
import type { Source } from './source.ts'

export interface RootQuestionInit {
  source: Source
  root: Item
  want: Pick<DagWant, 'scope' | 'path' | 'range'>
  frontier: Frontier
  onBlock: (item: Item, bytes: Uint8Array, creditBytes: number, isPrivate: boolean) => void
  /** With an error where the source was lost. */
  onEnd: (error: Error | undefined) => void
}

/**
 * The first Want of a fetch that holds nothing: by root, with a budget, so that a small DAG comes in one round trip and
 * a large one's first nodes without a round trip a level. The source walks as we do, so every block must be one that
 * our own walk has in line by then; anything else ends the stream.
 */
export class RootQuestion {
  readonly source: Source
  readonly #init: RootQuestionInit
  readonly #received = new Set<string>()
  readonly #wantId: number
  readonly #startMs = performance.now()
  #receivedBytes = 0
  #cancelledMs: number | undefined

  constructor(init: RootQuestionInit) {
    this.#init = init
    this.source = init.source
    const { root, source } = init
    const onEnd = (error: Error | undefined): void => {
      source.setBusy(false)
      init.onEnd(error)
    }
    source.setBusy(true)
    this.#wantId = source.stream.wantDag(
      {
        ...init.want,
        root: root.visit.cid,
        depthBudget: undefined,
        blockBudget: FIRST_WANT_BLOCKS,
        byteBudget: FIRST_WANT_BYTES,
        held: [],
      },
      {
        accepts: (cid) => this.#accepts(cid),
        onBlock: (cid, bytes, creditBytes, isPrivate) => this.#onBlock(cid, bytes, creditBytes, isPrivate),
        onMissing: () => {},
        onDone: () => {
          // Where it was cancelled it is passed over for now: the others are asked first.
          if (!this.#received.has(root.key)) {
            ;(root.missedBy ??= new Set()).add(source.name)
            if (!this.isCancelled) source.miss()
          }
          onEnd(undefined)
        },
        onLost: (error) => onEnd(error),
      },
    )
  }

  get root(): Item {
    return this.#init.root
  }

  /** Whether anything of the answer has come. */
  get hasBegun(): boolean {
    return this.#received.size > 0
  }

  get isCancelled(): boolean {
    return this.#cancelledMs !== undefined
  }

  /** Since it was cancelled, or 0: its source has to end it, after what it was sending. */
  get overdueMs(): number {
    return this.#cancelledMs === undefined ? 0 : performance.now() - this.#cancelledMs
  }

  get ageMs(): number {
    return performance.now() - this.#startMs
  }

  canAlsoBeAsked(other: Source): boolean {
    return other !== this.source && this.#init.root.missedBy?.has(other.name) !== true
  }

  /** Others have nothing to do meanwhile: what has not been sent is asked for by CID, from all of them. */
  cancel(): void {
    if (this.isCancelled) return
    this.#cancelledMs = performance.now()
    this.source.stream.cancel(this.#wantId)
  }

  #accepts(cid: CID): boolean {
    const key = keyOf(cid)
    const isWithin = this.#received.size < FIRST_WANT_BLOCKS && this.#receivedBytes < FIRST_WANT_BYTES
    if (!isWithin || this.#received.has(key)) return false
    return isSupportedHash(cid) && this.#init.frontier.find(key) !== undefined
  }

  #onBlock(cid: CID, bytes: Uint8Array, creditBytes: number, isPrivate: boolean): void {
    const key = keyOf(cid)
    this.#received.add(key)
    this.#receivedBytes += bytes.length
    this.source.count(bytes.length)
    const item = this.#init.frontier.find(key)
    if (item === undefined) {
      this.source.stream.release(creditBytes)
      return
    }
    this.#init.frontier.takeItem(item)
    this.#init.onBlock(item, bytes, creditBytes, isPrivate)
  }
}
