import { P2pnodeError } from '../../../protocols/shared/errors.ts'

/** Nothing that could be said. */
export function nothingSeen(peer: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_NOTHING_SEEN',
    'not-found',
    `nothing was seen of ${peer}; say what it is worth first: p2pnode trust set ${peer} SCORE`,
    { details: { peer } },
  )
}

export function ownPraise(peer: string): P2pnodeError {
  return new P2pnodeError('ERR_PEER_INVALID', 'usage', 'a node does not recommend itself', {
    details: { peer },
  })
}
