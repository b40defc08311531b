import type { Command } from 'commander'
import type { CreateOptions, InviteOptions } from '../work/swarm.ts'
import { duration, type Run } from './register.ts'

/** swarm create, invite, join, members, revoke, …: a private network and who belongs to it. */
export function registerSwarm(program: Command, run: Run): void {
  const work = () => import('../work/swarm.ts')
  const swarm = program.command('swarm').summary('a private network: create, invite, join, members, revoke')

  swarm
    .command('create')
    .summary('make a private network with this node as its first member')
    .option('--name <NAME>', 'what people call this node')
    .option('--psk', 'make a pre-shared key for TCP and WebSocket, too, as Kubo has it')
    .action(async (options: CreateOptions, command: Command) =>
      run(command, async (context) => (await work()).create(context, options)),
    )

  swarm
    .command('status')
    .summary('the private network that this node is in')
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await work()).status(context)),
    )

  swarm
    .command('invite')
    .summary('print an invitation that lets one node in, once')
    .argument('[name]', 'what people call that node')
    .option('--admin', 'it may invite and revoke')
    .option('--expires <DURATION>', 'how long it may be used (default: 24h)', duration)
    .action(async (name: string | undefined, options: InviteOptions, command: Command) =>
      run(command, async (context) => (await work()).invite(context, name, options)),
    )

  swarm
    .command('invitations')
    .summary('invitations of this node, or take one back')
    .option('--cancel <ID>', 'this one opens no door any more')
    .action(async (options: { cancel?: string }, command: Command) =>
      run(command, async (context) => (await work()).invitations(context, options.cancel)),
    )

  swarm
    .command('join')
    .summary('come into a private network')
    .argument('[token]', 'the invitation (default: what comes from standard input)')
    .option('--name <NAME>', 'what people call this node')
    .action(async (token: string | undefined, options: { name?: string }, command: Command) =>
      run(command, async (context) => (await work()).join(context, token, options.name)),
    )

  swarm
    .command('members')
    .summary('who belongs to the private network')
    .option('--all', 'those that were put out as well')
    .action(async (options: { all?: boolean }, command: Command) =>
      run(command, async (context) => (await work()).members(context, options.all ?? false)),
    )

  swarm
    .command('revoke')
    .summary('put a member out')
    .argument('<peer>', 'peer id or did:key')
    .option('--with-invited', 'of an admin: also those that it let in')
    .action(async (peer: string, options: { withInvited?: boolean }, command: Command) =>
      run(command, async (context) => (await work()).revoke(context, peer, options.withInvited ?? false)),
    )

  swarm
    .command('promote')
    .summary('make an admin of a member')
    .argument('<peer>', 'peer id or did:key')
    .action(async (peer: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).appoint(context, peer, 'admin')),
    )

  swarm
    .command('demote')
    .summary('make a member of an admin')
    .argument('<peer>', 'peer id or did:key')
    .action(async (peer: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).appoint(context, peer, 'member')),
    )

  swarm
    .command('leave')
    .summary('forget the private network; this node is open to everybody again')
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await work()).leave(context)),
    )

  swarm
    .command('phrase')
    .summary("print the words that bring the owner's key back")
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await work()).phrase(context)),
    )

  swarm
    .command('recover')
    .summary("make this member the owner's node, by words from standard input")
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await work()).recover(context)),
    )
}
