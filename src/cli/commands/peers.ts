import type { Command } from 'commander'
import { type Run, wholeNumber } from './register.ts'

/** peers, connect, disconnect, block, unblock, allow, disallow: who this node talks to. */
export function registerPeers(program: Command, run: Run): void {
  const work = () => import('../work/peers.ts')

  program
    .command('peers')
    .summary('the peers this node is connected to')
    .option('--known', 'those that were connected before and are away, the last seen first')
    .option('--limit <N>', 'with --known: so many at most (100)', wholeNumber(1))
    .action(async (options: { known?: boolean; limit?: number }, command: Command) =>
      run(command, async (context) => {
        const { knownPeers, peers } = await work()
        return options.known === true ? knownPeers(context, options.limit) : peers(context)
      }),
    )

  program
    .command('connect')
    .summary('connect to a peer')
    .argument('<multiaddr>', 'its address, such as /ip4/192.0.2.7/tcp/4700/p2p/PEER')
    .action(async (address: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).connect(context, address)),
    )

  program
    .command('disconnect')
    .summary('close the connections to a peer')
    .argument('<peer>', 'peer id')
    .action(async (peer: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).disconnect(context, peer)),
    )

  program
    .command('block')
    .summary('refuse a peer or content, or list what is refused')
    .argument(
      '[peer]',
      'peer id, did:key, IP address, range, or content: /ipfs/CID, /ipfs/CID/path*, /ipns/NAME',
    )
    .option('--reason <TEXT>', 'why, for whoever reads the list later')
    .action(async (peer: string | undefined, options: { reason?: string }, command: Command) =>
      run(command, async (context) => (await work()).block(context, peer, options.reason)),
    )

  program
    .command('unblock')
    .summary('no longer refuse a peer or content')
    .argument('<peer>', 'as it was blocked')
    .action(async (peer: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).unblock(context, peer)),
    )

  program
    .command('allow')
    .summary('talk to the listed peers only, or show the list')
    .argument('[peer]', 'peer id or did:key; the first one shuts everybody else out')
    .action(async (peer: string | undefined, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).allow(context, peer)),
    )

  program
    .command('disallow')
    .summary('take a peer off the allow list')
    .argument('<peer>', 'as it was allowed')
    .action(async (peer: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).disallow(context, peer)),
    )
}
