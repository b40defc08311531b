import { P2pnodeError } from '../shared/errors.ts'

/** The peer answered, and does not tell. */
export class RecommendationsRefusedError extends P2pnodeError {
  readonly status: number

  constructor(peer: string, status: number) {
    super('ERR_RECOMMENDATIONS_REFUSED', 'denied', `${peer} does not tell what it has seen of others`, {
      details: { peer, status },
    })
    this.status = status
  }
}

export function recommendationsFailed(peer: string, cause: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_RECOMMENDATIONS_FAILED',
    'unavailable',
    `${peer} could not be asked what it has seen of others`,
    { details: { peer }, cause },
  )
}
