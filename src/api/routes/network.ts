import { parseCid } from '../parse.ts'
import { route, type Route } from '../route.ts'
import { Done } from '../schemas/common.ts'
import { ProvideBody } from '../schemas/jobs.ts'
import {
  AllowList,
  AllowPeer,
  BlockList,
  BlockedParams,
  BlockPeer,
  Connect,
  EvidenceList,
  EvidenceQuery,
  KnownPeerList,
  KnownPeerQuery,
  PeerList,
  PeerParams,
  PeerSummary,
  Provider,
  ProviderQuery,
  RouteQuery,
  RouteReport,
} from '../schemas/network.ts'
import { ndjson, StreamAnswer } from '../streaming.ts'

export const networkRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/peers',
    operationId: 'listPeers',
    tag: 'network',
    access: 'read',
    summary: 'Connected peers',
    replies: { 200: { description: 'one entry a peer', schema: PeerList } },
    handle: async (_call, { network }) => ({ peers: network.peers() }),
  }),
  route({
    method: 'GET',
    path: '/api/v1/peers/known',
    operationId: 'listKnownPeers',
    tag: 'network',
    access: 'read',
    summary: 'Peers that were connected before and are away',
    description: 'The last seen first.',
    query: KnownPeerQuery,
    replies: { 200: { description: 'one entry a peer', schema: KnownPeerList } },
    handle: async ({ query }, { network }) => ({ peers: network.known(query.limit ?? 100) }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/peers',
    operationId: 'connect',
    tag: 'network',
    access: 'write',
    summary: 'Connect to a peer',
    body: Connect,
    replies: { 200: { description: 'connected', schema: PeerSummary } },
    handle: async ({ body, signal }, { network }) => network.connect(body.multiaddr, signal),
  }),
  route({
    method: 'DELETE',
    path: '/api/v1/peers/:peer',
    operationId: 'disconnect',
    tag: 'network',
    access: 'write',
    summary: 'Disconnect a peer',
    params: PeerParams,
    replies: { 200: { description: 'disconnected', schema: Done } },
    handle: async ({ params }, { network }) => {
      await network.disconnect(params.peer)
      return {}
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/blocklist',
    operationId: 'listBlocked',
    tag: 'network',
    access: 'read',
    summary: 'Peers and content that are refused',
    replies: { 200: { description: 'the deny list', schema: BlockList } },
    handle: async (_call, { trust }) => ({ blocked: trust.list().blocked }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/blocklist',
    operationId: 'blockPeer',
    tag: 'network',
    access: 'admin',
    summary: 'Refuse a peer or a range of addresses, and end its connections; or content, to everybody',
    body: BlockPeer,
    replies: { 200: { description: 'the deny list', schema: BlockList } },
    handle: async ({ body }, { trust }) => {
      trust.block(body.peer, body.reason)
      return { blocked: trust.list().blocked }
    },
  }),
  route({
    method: 'DELETE',
    path: '/api/v1/blocklist/:peer',
    operationId: 'unblockPeer',
    tag: 'network',
    access: 'admin',
    summary: 'No longer refuse a peer or content',
    params: BlockedParams,
    replies: { 200: { description: 'the deny list', schema: BlockList } },
    handle: async ({ params }, { trust }) => {
      trust.unblock(params.peer)
      return { blocked: trust.list().blocked }
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/allowlist',
    operationId: 'listAllowed',
    tag: 'network',
    access: 'read',
    summary: 'Peers that are admitted when any are named',
    replies: { 200: { description: 'the allow list', schema: AllowList } },
    handle: async (_call, { trust }) => ({ allowed: trust.list().allowed }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/allowlist',
    operationId: 'allowPeer',
    tag: 'network',
    access: 'admin',
    summary: 'Admit a peer; an allow list that is not empty admits only its members',
    body: AllowPeer,
    replies: { 200: { description: 'the allow list', schema: AllowList } },
    handle: async ({ body }, { trust }) => {
      trust.allow(body.peer)
      return { allowed: trust.list().allowed }
    },
  }),
  route({
    method: 'DELETE',
    path: '/api/v1/allowlist/:peer',
    operationId: 'disallowPeer',
    tag: 'network',
    access: 'admin',
    summary: 'Take a peer off the allow list',
    params: PeerParams,
    replies: { 200: { description: 'the allow list', schema: AllowList } },
    handle: async ({ params }, { trust }) => {
      trust.disallow(params.peer)
      return { allowed: trust.list().allowed }
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/evidence',
    operationId: 'listEvidence',
    tag: 'network',
    access: 'read',
    summary: 'What was seen of peers',
    query: EvidenceQuery,
    replies: { 200: { description: 'a page', schema: EvidenceList } },
    handle: async ({ query }, { trust }) =>
      trust.evidence({
        limit: query.limit ?? 100,
        ...(query.peer === undefined ? {} : { peer: query.peer }),
        ...(query.afterId === undefined ? {} : { afterId: query.afterId }),
      }),
  }),
  route({
    method: 'GET',
    path: '/api/v1/providers',
    operationId: 'listProviders',
    tag: 'network',
    access: 'read',
    summary: 'Where blocks could come from',
    description:
      'Connected peers first, the best of them first, then what the DHT knows, one JSON text a line as they are found; each with what was learned of it.',
    query: ProviderQuery,
    replies: { 200: { description: 'providers', schema: Provider, type: 'application/x-ndjson' } },
    handle: async ({ query, signal }, { content }) =>
      new StreamAnswer(
        200,
        { 'content-type': 'application/x-ndjson' },
        ndjson(content.providers(parseCid(query.cid), { signal }), (provider) => provider),
      ),
  }),
  route({
    method: 'GET',
    path: '/api/v1/route',
    operationId: 'explainRoute',
    tag: 'network',
    access: 'read',
    summary: 'From whom content would be taken, and why',
    description:
      'Every source there is, ranked, with each term of its score. Asks the DHT for up to 5 s, and nobody for blocks.',
    query: RouteQuery,
    replies: { 200: { description: 'the ranking', schema: RouteReport } },
    handle: async ({ query, signal }, { content }) =>
      content.route(parseCid(query.cid), { signal, sizeBytes: query.size }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/provide',
    operationId: 'provide',
    tag: 'network',
    access: 'write',
    summary: 'Tell the DHT that this node has a CID',
    body: ProvideBody,
    replies: { 200: { description: 'told', schema: Done } },
    handle: async ({ body, signal }, { content }) => {
      await content.provide(parseCid(body.cid), { signal })
      return {}
    },
  }),
]
