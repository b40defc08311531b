import { DEFAULT_TERM_MS } from '../../swarm/limits.ts'
import type { SwarmService } from '../../swarm/types.ts'
import { parsePeer } from '../../trust/subject.ts'
import type { ApiContext } from '../context.ts'
import { swarmAbsent } from '../errors.ts'
import { route, type Route } from '../route.ts'
import { Done } from '../schemas/common.ts'
import { PeerParams } from '../schemas/network.ts'
import {
  Appoint,
  CreatedSwarm,
  CreateSwarm,
  InvitationParams,
  Invitations,
  Invite,
  Invited,
  JoinedSwarm,
  JoinSwarm,
  MembersQuery,
  RecoverSwarm,
  Revoked,
  RevokeQuery,
  SwarmMember,
  SwarmMembers,
  SwarmPhrase,
  SwarmState,
} from '../schemas/swarm.ts'

/** The private network that this node belongs to: who comes in, and who is put out. */
export const swarmRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/swarm',
    operationId: 'getSwarm',
    tag: 'swarm',
    access: 'read',
    summary: 'The swarm that this node is in',
    replies: { 200: { description: 'null where it is in none', schema: SwarmState } },
    handle: async (_call, context) => ({ swarm: swarmOf(context).status() }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/swarm',
    operationId: 'createSwarm',
    tag: 'swarm',
    access: 'admin',
    summary: 'Make a private network with this node as its first member',
    description: 'Whoever is no member is cut off at once.',
    body: CreateSwarm,
    replies: { 200: { description: 'made', schema: CreatedSwarm } },
    handle: async ({ body }, context) =>
      swarmOf(context).create({ name: body.name ?? '', withNetworkKey: body.networkKey ?? false }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/swarm/join',
    operationId: 'joinSwarm',
    tag: 'swarm',
    access: 'admin',
    summary: 'Come in with an invitation',
    description: 'Whoever is no member is cut off at once.',
    body: JoinSwarm,
    replies: { 200: { description: 'a member now', schema: JoinedSwarm } },
    handle: async ({ body, signal }, context) => swarmOf(context).join(body.token, body.name ?? '', signal),
  }),
  route({
    method: 'POST',
    path: '/api/v1/swarm/leave',
    operationId: 'leaveSwarm',
    tag: 'swarm',
    access: 'admin',
    summary: 'Forget the swarm; this node is open to everybody again',
    replies: { 200: { description: 'left', schema: Done } },
    handle: async (_call, context) => {
      await swarmOf(context).leave()
      return {}
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/swarm/invitations',
    operationId: 'invite',
    tag: 'swarm',
    access: 'admin',
    summary: 'Open the door for one peer, once',
    body: Invite,
    replies: { 200: { description: 'the invitation', schema: Invited } },
    handle: async ({ body }, context) =>
      swarmOf(context).invite({
        name: body.name ?? '',
        standing: body.standing ?? 'member',
        termMs: body.termMs ?? DEFAULT_TERM_MS,
      }),
  }),
  route({
    method: 'GET',
    path: '/api/v1/swarm/invitations',
    operationId: 'listInvitations',
    tag: 'swarm',
    access: 'read',
    summary: 'Invitations of this node, without what opens the door',
    replies: { 200: { description: 'invitations', schema: Invitations } },
    handle: async (_call, context) => ({ invitations: swarmOf(context).invitations() }),
  }),
  route({
    method: 'DELETE',
    path: '/api/v1/swarm/invitations/:id',
    operationId: 'withdrawInvitation',
    tag: 'swarm',
    access: 'admin',
    summary: 'Take an open invitation back',
    params: InvitationParams,
    replies: { 200: { description: 'taken back', schema: Done } },
    handle: async ({ params }, context) => {
      await swarmOf(context).withdraw(params.id)
      return {}
    },
  }),
  route({
    method: 'GET',
    path: '/api/v1/swarm/members',
    operationId: 'listMembers',
    tag: 'swarm',
    access: 'read',
    summary: 'Who belongs to the swarm',
    query: MembersQuery,
    replies: { 200: { description: 'by when they came', schema: SwarmMembers } },
    handle: async ({ query }, context) => ({
      members: swarmOf(context).members({ all: query.all ?? false }),
    }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/swarm/members/:peer',
    operationId: 'appointMember',
    tag: 'swarm',
    access: 'admin',
    summary: 'Make an admin of a member, or a member of an admin',
    params: PeerParams,
    body: Appoint,
    replies: { 200: { description: 'as it is now', schema: SwarmMember } },
    handle: async ({ params, body }, context) =>
      swarmOf(context).appoint(parsePeer(params.peer), body.standing),
  }),
  route({
    method: 'DELETE',
    path: '/api/v1/swarm/members/:peer',
    operationId: 'revokeMember',
    tag: 'swarm',
    access: 'admin',
    summary: 'Put a member out',
    description:
      'Its connections end at once; the others hear of it by gossip, and by comparing lists when they meet.',
    params: PeerParams,
    query: RevokeQuery,
    replies: { 200: { description: 'out', schema: Revoked } },
    handle: async ({ params, query }, context) =>
      swarmOf(context).revoke(parsePeer(params.peer), { withInvited: query.withInvited ?? false }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/swarm/phrase',
    operationId: 'swarmPhrase',
    tag: 'swarm',
    access: 'admin',
    summary: "The words that bring the owner's key back",
    replies: { 200: { description: 'the words', schema: SwarmPhrase } },
    handle: async (_call, context) => ({ phrase: swarmOf(context).phrase() }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/swarm/recover',
    operationId: 'recoverSwarm',
    tag: 'swarm',
    access: 'admin',
    summary: "Make this member the owner's node, by the words",
    body: RecoverSwarm,
    replies: { 200: { description: 'the swarm as it is now', schema: SwarmState } },
    handle: async ({ body }, context) => ({ swarm: await swarmOf(context).recover(body.phrase) }),
  }),
]

function swarmOf({ swarm }: ApiContext): SwarmService {
  if (swarm === undefined) throw swarmAbsent()
  return swarm
}
