import { P2pnodeError } from '../../protocols/shared/errors.ts'

export function entryInvalid(problem: string): P2pnodeError {
  return new P2pnodeError('ERR_CATALOG_ENTRY', 'usage', problem)
}

export function linkNotRevealed(): P2pnodeError {
  return new P2pnodeError(
    'ERR_CATALOG_LINK',
    'usage',
    'everybody in the network could read what this link opens, also after it was withdrawn: say that this is meant (--reveal-link)',
  )
}

export function lifetimeInvalid(maxMs: number): P2pnodeError {
  return new P2pnodeError('ERR_CATALOG_LIFETIME', 'usage', `an entry holds for 1 to ${maxMs} ms`, {
    details: { maxMs },
  })
}

export function catalogFull(max: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_CATALOG_FULL',
    'no-space',
    `of one publisher ${max} records are kept; withdraw entries first`,
    { details: { max } },
  )
}

export function notPublished(sequence: number): P2pnodeError {
  return new P2pnodeError('ERR_CATALOG_NOT_FOUND', 'not-found', `this node has no entry ${sequence}`, {
    details: { sequence },
  })
}

export function nothingPublished(): P2pnodeError {
  return new P2pnodeError('ERR_CATALOG_NOT_FOUND', 'not-found', 'this node has published nothing')
}

export function searchInvalid(problem: string): P2pnodeError {
  return new P2pnodeError('ERR_CATALOG_SEARCH', 'usage', problem)
}

export function catalogOff(): P2pnodeError {
  return new P2pnodeError(
    'ERR_CATALOG_OFF',
    'unavailable',
    'this node keeps no catalogue of others (catalog.receive)',
  )
}

export function publisherInvalid(peer: string): P2pnodeError {
  return new P2pnodeError('ERR_PEER_INVALID', 'usage', `${peer} has no key that a publisher could sign with`)
}
