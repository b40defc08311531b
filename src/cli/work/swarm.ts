import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { secretLine } from '../ask.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { formatCount, formatTime, printable } from '../format.ts'
import { tableText } from '../table.ts'

export interface CreateOptions {
  name?: string
  psk?: boolean
}

export interface InviteOptions {
  admin?: boolean
  expires?: number
}

const RESTART =
  'the network has a pre-shared key: set network.psk to true and network.transports.quic, .webrtcDirect and .webrtc to false (p2pnode config set), then start the node again'

export async function create(context: CliContext, { name, psk }: CreateOptions): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.post('/api/v1/swarm', {
      body: { ...(name === undefined ? {} : { name }), networkKey: psk ?? false },
      signal: context.signal,
    })
    context.output.result(answer, () => `${answer.swarm}\n\n${answer.phrase}`)
    context.output.note("write the words down and keep them offline: they bring the owner's key back")
    context.output.note('let others in with: p2pnode swarm invite NAME')
    if (answer.restart) context.output.note(RESTART)
    return 0
  })
}

export async function status(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.get('/api/v1/swarm', { signal: context.signal })
    context.output.result(answer, () => {
      const { swarm } = answer
      if (swarm === null) return 'this node is in no private network: it talks to everybody'
      const open = swarm.door.length === 0 ? 'closed' : swarm.door.join(' ')
      return [
        `${swarm.swarm} on the network ${swarm.network}`,
        swarm.role === 'out'
          ? 'this node was put out: it talks to nobody until it joins again or leaves'
          : `this node is ${swarm.role}; ${formatCount(swarm.members)} members, list at version ${swarm.version}`,
        `${formatCount(swarm.invitations)} open invitations; the door: ${open}`,
        ...(swarm.networkKey ? ['connections are under a pre-shared key'] : []),
      ].join('\n')
    })
    return 0
  })
}

export async function invite(
  context: CliContext,
  name: string | undefined,
  { admin, expires }: InviteOptions,
): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.post('/api/v1/swarm/invitations', {
      body: {
        ...(name === undefined ? {} : { name }),
        standing: admin === true ? 'admin' : 'member',
        ...(expires === undefined ? {} : { termMs: expires }),
      },
      signal: context.signal,
    })
    context.output.result(answer, () => answer.token)
    context.output.note(
      `whoever has it can come in, once, until ${formatTime(answer.expiresMs)}: p2pnode swarm join TOKEN`,
    )
    context.output.note(`the door listens at ${answer.addresses.join(' ')}`)
    return 0
  })
}

export async function invitations(context: CliContext, cancel: string | undefined): Promise<number> {
  return withClient(context, async (client) => {
    if (cancel !== undefined) {
      await client.delete('/api/v1/swarm/invitations/{id}', {
        params: { path: { id: cancel } },
        signal: context.signal,
      })
      context.output.result({ cancelled: cancel }, () => `${cancel} opens no door any more`)
      return 0
    }
    const answer = await client.get('/api/v1/swarm/invitations', { signal: context.signal })
    context.output.result(answer, () =>
      answer.invitations.length === 0
        ? 'there are none'
        : tableText(
            context.output,
            ['INVITATION', 'FOR', 'AS', 'STATE', 'UNTIL', 'USED BY'],
            answer.invitations.map((one) => [
              one.id,
              printable(one.name),
              one.standing,
              one.state,
              formatTime(one.expiresMs),
              one.usedBy ?? '',
            ]),
          ),
    )
    return 0
  })
}

export async function join(
  context: CliContext,
  given: string | undefined,
  name: string | undefined,
): Promise<number> {
  const token =
    given ??
    (await secretLine(
      'The invitation',
      () =>
        new P2pnodeError(
          'ERR_INVITATION_MISSING',
          'usage',
          'give the invitation: p2pnode swarm join TOKEN, or on standard input',
        ),
    ))
  return withClient(context, async (client) => {
    const answer = await client.post('/api/v1/swarm/join', {
      body: { token, ...(name === undefined ? {} : { name }) },
      signal: context.signal,
    })
    context.output.result(answer, () => {
      const reached =
        answer.connected === null ? 'no member is connected yet' : `connected to ${answer.connected}`
      return `this node is ${answer.standing === 'admin' ? 'an admin' : 'a member'} of ${answer.swarm}; ${reached}`
    })
    if (answer.restart) context.output.note(RESTART)
    return 0
  })
}

export async function members(context: CliContext, all: boolean): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.get('/api/v1/swarm/members', {
      params: { query: { all } },
      signal: context.signal,
    })
    context.output.result(answer, () =>
      tableText(
        context.output,
        ['PEER', 'NAME', 'IS', 'SINCE', 'SAID BY'],
        answer.members.map((member) => [
          member.peer,
          `${printable(member.name)}${member.self ? ' (this node)' : ''}`.trim(),
          member.standing,
          formatTime(member.sinceMs),
          member.by ?? 'the owner',
        ]),
      ),
    )
    return 0
  })
}

export async function revoke(context: CliContext, peer: string, withInvited: boolean): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.delete('/api/v1/swarm/members/{peer}', {
      params: { path: { peer }, query: { withInvited } },
      signal: context.signal,
    })
    context.output.result(
      answer,
      () => `${answer.revoked.join(', ')} out; ${formatCount(answer.told)} members were told directly`,
    )
    const { invitations: all } = await client.get('/api/v1/swarm/invitations', { signal: context.signal })
    const open = all.filter(({ state }) => state === 'open').length
    if (open > 0)
      context.output.note(
        `${formatCount(open)} invitations are open: whoever was put out may have one and use it under another key (p2pnode swarm invitations)`,
      )
    return 0
  })
}

export async function appoint(
  context: CliContext,
  peer: string,
  standing: 'member' | 'admin',
): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.post('/api/v1/swarm/members/{peer}', {
      params: { path: { peer } },
      body: { standing },
      signal: context.signal,
    })
    context.output.result(
      answer,
      () => `${answer.peer} is ${standing === 'admin' ? 'an admin' : 'a member'} now`,
    )
    return 0
  })
}

export async function leave(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.post('/api/v1/swarm/leave', { signal: context.signal })
    context.output.result(answer, () => 'left: this node is open to everybody again')
    return 0
  })
}

export async function phrase(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.post('/api/v1/swarm/phrase', { signal: context.signal })
    context.output.result(answer, () => answer.phrase)
    context.output.note('write it down and keep it offline: whoever has these words owns the swarm')
    return 0
  })
}

export async function recover(context: CliContext): Promise<number> {
  const typed = await secretLine(
    "The 24 words of the swarm's owner",
    () =>
      new P2pnodeError(
        'ERR_PHRASE_MISSING',
        'usage',
        'give the words on standard input: p2pnode swarm recover < FILE',
      ),
  )
  return withClient(context, async (client) => {
    const answer = await client.post('/api/v1/swarm/recover', {
      body: { phrase: typed },
      signal: context.signal,
    })
    context.output.result(answer, () => 'this node is the owner now')
    return 0
  })
}
