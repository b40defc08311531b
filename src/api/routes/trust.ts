import { recommendationsAbsent } from '../errors.ts'
import type { Route } from '../route.ts'
import { route } from '../route.ts'
import { PeerParams } from '../schemas/network.ts'
import {
  ExplainedPeer,
  LedgerAudit,
  Recommend,
  Recommended,
  SetScore,
  ToldList,
  TrustedPeer,
  TrustList,
  TrustQuery,
} from '../schemas/trust.ts'

function recommendationsOf<Present>(recommendations: Present | undefined): Present {
  if (recommendations === undefined) throw recommendationsAbsent()
  return recommendations
}

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
    summary: 'Where the score of a peer comes from, and what it is in the swarm of this node',
    params: PeerParams,
    replies: { 200: { description: 'the score, term by term', schema: ExplainedPeer } },
    handle: async ({ params }, { trust, swarm }) => {
      const report = trust.explain(params.peer)
      return { ...report, membership: swarm?.membershipOf(report.peer) ?? null }
    },
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
    method: 'POST',
    path: '/api/v1/trust/peers/:peer/recommendation',
    operationId: 'recommendPeer',
    tag: 'trust',
    access: 'admin',
    summary: 'Tell the network what this node thinks of a peer, or take it back',
    description:
      'What was seen of it, or what the operator set. What was seen of peers is told by itself too, where trust.recommendations.tell is on; what was taken back is not.',
    params: PeerParams,
    body: Recommend,
    replies: { 200: { description: 'what is told of it now', schema: Recommended } },
    handle: async ({ params, body }, { recommendations }) =>
      recommendationsOf(recommendations).recommend(params.peer, { withdraw: body.withdraw ?? false }),
  }),
  route({
    method: 'GET',
    path: '/api/v1/trust/recommendations',
    operationId: 'listRecommendations',
    tag: 'trust',
    access: 'read',
    summary: 'What this node tells of others',
    description: 'By time, at most 512. What others tell of a peer is in the explanation of its score.',
    replies: { 200: { description: 'recommendations', schema: ToldList } },
    handle: async (_, { recommendations }) => ({ told: recommendationsOf(recommendations).told() }),
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
