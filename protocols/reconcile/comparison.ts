import { ProtocolViolationError } from '../shared/violation.ts'
import { CUT_PARTS, LISTED_ENTRIES, MAX_OPEN_RANGES, MAX_PARTS, MAX_SESSION_ENTRIES } from './limits.ts'
import type { AnswerBody, Difference } from './messages.ts'
import { type Cut, partsOf, type Span, type View, WHOLE } from './view.ts'

/** A range that differs, and how it is asked about next. */
interface OpenRange extends Span {
  readonly isListed: boolean
}

/**
 * The asker's side: narrows down where two sets differ, by range-based set reconciliation (A. Meyer, "Range-Based Set
 * Reconciliation", SRDS 2023). A part that adds up to something else is cut and asked about again, until it is short
 * enough to be listed. The cost follows from the difference, and each step down is one exchange for all parts at once.
 *
 * Depth first, so that what is open is bounded: the last answer's ranges are asked about before earlier ones.
 */
export class Comparison {
  readonly #view: View
  readonly #isRefused: (tag: bigint) => boolean
  /** The next to be asked about is at the end. */
  readonly #open: OpenRange[] = []
  readonly #lacking = new Set<number>()
  readonly #spare: number[] = []
  readonly #turn: number
  #asked: OpenRange[] = []
  #isFull = false
  #hasBegun = false

  /**
   * What `isRefused` says of a tag is as good as had. `turn`, in [0, 1), says where in the sets it begins: at another place
   * each time, so that what one session has no room for is not always the same.
   */
  constructor(view: View, { isRefused, turn }: { isRefused: (tag: bigint) => boolean; turn: number }) {
    this.#view = view
    this.#isRefused = isRefused
    this.#turn = turn
  }

  /** Places among the peer's ids of what this side lacks, ascending. */
  get lacking(): number[] {
    return [...this.#lacking].toSorted((a, b) => a - b)
  }

  /** Places among this side's ids of what the peer lacks. */
  get spare(): readonly number[] {
    return this.#spare
  }

  /** Whether everything was compared, rather than as much as one session may bring. */
  get isWhole(): boolean {
    return this.#hasBegun && !this.#isFull && this.#open.length === 0
  }

  /** What to ask next; undefined at the end. Its answer goes to `take` before the next call. */
  next(): Cut[] | undefined {
    this.#asked = []
    const cuts: Cut[] = []
    if (!this.#hasBegun) this.#open.push({ ...WHOLE, isListed: false })
    while (!this.#isFull && this.#asked.length <= MAX_PARTS - CUT_PARTS) {
      const range = this.#open.pop()
      if (range === undefined) break
      const { isListed, ...span } = range
      const cut = isListed ? { ...span, bounds: [], fingerprints: [] } : this.#view.cut(span)
      for (const part of partsOf(cut)) this.#asked.push({ ...part, isListed })
      cuts.push(cut)
    }
    return cuts.length === 0 ? undefined : cuts
  }

  /** @throws ProtocolViolationError where the answers lead nowhere */
  take({ parts, differences }: AnswerBody & { kind: 'compared' }): void {
    const asked = this.#asked
    const open: OpenRange[] = asked.slice(parts)
    for (const difference of differences) {
      const range = asked[difference.part]!
      if (difference.kind === 'tags') this.#match(range, difference)
      else this.#narrow(range, difference, open)
    }
    if (!this.#hasBegun) {
      this.#hasBegun = true
      open.unshift(...open.splice(Math.floor(this.#turn * open.length)))
    }
    for (const range of open) this.#open.push(range)
    if (this.#open.length > MAX_OPEN_RANGES)
      throw new ProtocolViolationError('endless-comparison', 'cuts that find no end')
  }

  /** The answerer has cut a part: those of its parts that differ are open. */
  #narrow(range: Span, { bounds, fingerprints }: Difference & { kind: 'cut' }, open: OpenRange[]): void {
    const { start, end } = range
    for (const [index, span] of partsOf({ start, end, bounds, fingerprints }).entries()) {
      const [from, to] = this.#view.ranks(span)
      if (this.#view.fingerprint(from, to) === fingerprints[index]) continue
      open.push({ ...span, isListed: to - from <= LISTED_ENTRIES })
    }
  }

  /** The answerer has listed a part: what is on one side alone is known. */
  #match(range: Span, { firstRank, tags }: Difference & { kind: 'tags' }): void {
    const [from, to] = this.#view.ranks(range)
    const theirs = new Map(tags.map((tag, index) => [tag, firstRank + index]))
    for (let rank = from; rank < to; rank++) {
      if (theirs.delete(this.#view.tag(rank))) continue
      if (this.#spare.length >= MAX_SESSION_ENTRIES) {
        this.#isFull = true
        return
      }
      this.#spare.push(rank)
    }
    for (const [tag, rank] of theirs) {
      if (this.#isRefused(tag)) continue
      if (this.#lacking.size >= MAX_SESSION_ENTRIES) {
        this.#isFull = true
        return
      }
      this.#lacking.add(rank)
    }
  }
}
