import { P2pnodeError } from '../../protocols/shared/errors.ts'

/** What was named is neither a peer id, a did:key, nor (where that is allowed) a network address. */
export function subjectInvalid(text: string, allowed: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError('ERR_PEER_INVALID', 'usage', `"${shorten(text)}" is not ${allowed}`, {
    details: { peer: shorten(text) },
    cause,
  })
}

/** A list is full: every entry is kept in memory, so there is a bound. */
export function listFull(list: string, maxEntries: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_LIST_FULL',
    'too-large',
    `the ${list} list holds ${maxEntries} entries, which is its bound; remove some first`,
    { details: { list, maxEntries } },
  )
}

/** Scores are numbers from 0 to 1. */
export function scoreInvalid(score: number): P2pnodeError {
  return new P2pnodeError('ERR_SCORE_INVALID', 'usage', `a score is a number from 0 to 1, not ${score}`, {
    details: { score },
  })
}

/** Foreign text in a message is cut, so that a message stays a line. */
function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
