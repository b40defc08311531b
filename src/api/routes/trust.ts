import type { Route } from '../route.ts'
import { route } from '../route.ts'
import { PeerParams } from '../schemas/network.ts'
import { LedgerAudit, SetScore, TrustedPeer, TrustList, TrustQuery } from '../schemas/trust.ts'

/** Who is believed how much, and why. */
export const trustRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/trust/peers',
    operationId: 'listTrust',
    tag: 'trust',
    access: 'read',
    summary: 'Peers of whom something is known, with their scores',
    description: 'By peer id. Whoever is not here is a newcomer.',
    query: TrustQuery,
    replies: { 200: { description: 'a page', schema: TrustList } },
    handle: async ({ query }, { trust }) =>
      trust.peers({
        limit: query.limit ?? 100,
        ...(query.afterPeer === undefined ? {} : { afterPeer: query.afterPeer }),
      }),
  }),
  route({
    method: 'GET',
    path: '/api/v1/trust/peers/:peer',
    operationId: 'explainTrust',
    tag: 'trust',
    access: 'read',
    summary: 'Where the score of a peer comes from',
    params: PeerParams,
    replies: { 200: { description: 'the score, term by term', schema: TrustedPeer } },
    handle: async ({ params }, { trust }) => trust.explain(params.peer),
  }),
  route({
    method: 'POST',
    path: '/api/v1/trust/peers/:peer',
    operationId: 'setTrust',
    tag: 'trust',
    access: 'admin',
    summary: 'Say what a peer is worth, or take it back',
    params: PeerParams,
    body: SetScore,
    replies: { 200: { description: 'the score as it is now', schema: TrustedPeer } },
    handle: async ({ params, body }, { trust }) => trust.setScore(params.peer, body.score),
  }),
  route({
    method: 'GET',
    path: '/api/v1/trust/audit',
    operationId: 'auditTrust',
    tag: 'trust',
    access: 'read',
    summary: 'Check that no stored evidence was changed, taken out or put in',
    replies: { 200: { description: 'what was found', schema: LedgerAudit } },
    handle: async ({ signal }, { trust }) => trust.audit(signal),
  }),
]
