import { LISTED_ENTRIES, MAX_ANSWER_BYTES, MAX_LISTED_ENTRIES, TAG_BYTES } from './limits.ts'
import type { AnswerBody, Difference } from './messages.ts'
import { type Cut, partsOf, type Span, type View } from './view.ts'

/** What protobuf puts around a difference, and around a bound. */
const DIFFERENCE_BYTES = 20
const BOUND_BYTES = 2

/**
 * The answerer's side of a comparison: of each part that the asker names, nothing where it adds up to the same, a list where
 * it is short, else its own cut of it. As many parts as fit into an answer.
 */
export function compare(view: View, cuts: readonly Cut[]): AnswerBody & { kind: 'compared' } {
  const differences: Difference[] = []
  let parts = 0
  let bytes = 0
  for (const cut of cuts) {
    for (const [index, span] of partsOf(cut).entries()) {
      if (bytes >= MAX_ANSWER_BYTES) return { kind: 'compared', parts, differences }
      const difference = differenceOf(view, parts, span, cut.fingerprints[index])
      parts += 1
      if (difference === undefined) continue
      differences.push(difference)
      bytes += sizeOf(difference)
    }
  }
  return { kind: 'compared', parts, differences }
}

/** Without a fingerprint the part is wanted as a list. */
function differenceOf(
  view: View,
  part: number,
  span: Span,
  fingerprint: bigint | undefined,
): Difference | undefined {
  const [from, to] = view.ranks(span)
  if (fingerprint === view.fingerprint(from, to)) return undefined
  const most = fingerprint === undefined ? MAX_LISTED_ENTRIES : LISTED_ENTRIES
  if (to - from <= most) return { part, kind: 'tags', firstRank: from, tags: view.tags(from, to) }
  const { bounds, fingerprints } = view.cut(span)
  return { part, kind: 'cut', bounds, fingerprints }
}

function sizeOf(difference: Difference): number {
  if (difference.kind === 'tags') return DIFFERENCE_BYTES + difference.tags.length * TAG_BYTES
  return difference.bounds.reduce(
    (bytes, { byteLength }) => bytes + byteLength + BOUND_BYTES + TAG_BYTES,
    DIFFERENCE_BYTES + TAG_BYTES,
  )
}
