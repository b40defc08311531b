import { Type } from 'typebox'
import { MAX_INVITATION_LENGTH, MAX_PHRASE_LENGTH } from '../limits.ts'
import { Count, Identifier, Instant } from './common.ts'

const Standing = Type.Union([Type.Literal('member'), Type.Literal('admin')])
const SwarmId = Type.String({ description: "the owner's public key as did:key" })
const MemberName = Type.String({ maxLength: 64, description: 'what people call a peer; one line' })
const Restart = Type.Boolean({
  description: 'the node must start again, with network.psk, before it can talk to the others',
})

export const SwarmState = Type.Object(
  {
    swarm: Type.Union([
      Type.Object({
        swarm: SwarmId,
        network: Type.String(),
        role: Type.Union(
          [Type.Literal('owner'), Type.Literal('admin'), Type.Literal('member'), Type.Literal('out')],
          { description: "what this node is: owner where it has the owner's key, out once it was put out" },
        ),
        members: Count,
        version: Type.Integer({ minimum: 0, description: 'grows with every change; equal where lists are' }),
        invitations: Type.Integer({ minimum: 0, description: 'open ones of this node' }),
        door: Type.Array(Type.String(), { description: 'where it listens; empty while it is closed' }),
        networkKey: Type.Boolean({ description: 'connections are under a pre-shared key as well' }),
      }),
      Type.Null(),
    ]),
  },
  { $id: 'SwarmState' },
)

export const CreateSwarm = Type.Object(
  {
    name: Type.Optional(MemberName),
    networkKey: Type.Optional(Type.Boolean({ description: 'make a pre-shared key, too', default: false })),
  },
  { $id: 'CreateSwarm', additionalProperties: false },
)

export const CreatedSwarm = Type.Object(
  {
    swarm: SwarmId,
    phrase: Type.String({ description: "24 words that bring the owner's key back" }),
    restart: Restart,
  },
  { $id: 'CreatedSwarm' },
)

export const Invite = Type.Object(
  {
    name: Type.Optional(MemberName),
    standing: Type.Optional(Standing),
    termMs: Type.Optional(
      Type.Integer({ minimum: 1, description: 'how long it may be used; a day where it is not said' }),
    ),
  },
  { $id: 'Invite', additionalProperties: false },
)

export const Invited = Type.Object(
  {
    token: Type.String({ description: 'whoever has it can come in, once' }),
    id: Identifier,
    expiresMs: Instant,
    addresses: Type.Array(Type.String(), { description: 'where the door listens' }),
  },
  { $id: 'Invited' },
)

export const Invitations = Type.Object(
  {
    invitations: Type.Array(
      Type.Object({
        id: Identifier,
        name: Type.String(),
        standing: Standing,
        createdMs: Instant,
        expiresMs: Instant,
        state: Type.Union([Type.Literal('open'), Type.Literal('used'), Type.Literal('expired')]),
        usedBy: Type.Union([Type.String(), Type.Null()]),
      }),
      { description: 'newest first' },
    ),
  },
  { $id: 'Invitations' },
)

export const InvitationParams = Type.Object({ id: Identifier }, { additionalProperties: false })

export const JoinSwarm = Type.Object(
  {
    token: Type.String({ minLength: 1, maxLength: MAX_INVITATION_LENGTH }),
    name: Type.Optional(MemberName),
  },
  { $id: 'JoinSwarm', additionalProperties: false },
)

export const JoinedSwarm = Type.Object(
  {
    swarm: SwarmId,
    standing: Standing,
    members: Type.Integer({ minimum: 0, description: 'known by now; the rest come from them' }),
    connected: Type.Union([Type.String(), Type.Null()], { description: 'a member that was reached' }),
    restart: Restart,
  },
  { $id: 'JoinedSwarm' },
)

export const SwarmMember = Type.Object(
  {
    peer: Type.String(),
    did: Type.String(),
    standing: Type.Union([Standing, Type.Literal('out')]),
    name: Type.String(),
    sinceMs: Instant,
    by: Type.Union([Type.String(), Type.Null()], { description: 'who said so; null: the owner' }),
    self: Type.Boolean(),
  },
  { $id: 'SwarmMember' },
)

export const MembersQuery = Type.Object(
  { all: Type.Optional(Type.Boolean({ default: false, description: 'those that were put out as well' })) },
  { additionalProperties: false },
)

export const SwarmMembers = Type.Object({ members: Type.Array(SwarmMember) }, { $id: 'SwarmMembers' })

export const Appoint = Type.Object({ standing: Standing }, { $id: 'Appoint', additionalProperties: false })

export const RevokeQuery = Type.Object(
  {
    withInvited: Type.Optional(
      Type.Boolean({ default: false, description: 'of an admin: also those that it let in' }),
    ),
  },
  { additionalProperties: false },
)

export const Revoked = Type.Object(
  {
    revoked: Type.Array(Type.String()),
    told: Type.Integer({ minimum: 0, description: 'members that were told directly' }),
  },
  { $id: 'Revoked' },
)

export const SwarmPhrase = Type.Object(
  { phrase: Type.String({ description: 'whoever has these words is the owner' }) },
  { $id: 'SwarmPhrase' },
)

export const RecoverSwarm = Type.Object(
  { phrase: Type.String({ minLength: 1, maxLength: MAX_PHRASE_LENGTH }) },
  { $id: 'RecoverSwarm', additionalProperties: false },
)
