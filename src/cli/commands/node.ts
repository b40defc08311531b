import { type Command, Option } from 'commander'
import type { Flags } from '../../../config/index.ts'
import { collect, type Run } from './register.ts'

/** start, stop, status, id, doctor, stats: the node itself. */
export function registerNode(program: Command, run: Run): void {
  program
    .command('start')
    .summary('run a node until it is stopped')
    .description(
      'Runs a node in the foreground: prints where it is once everything is serving, then logs to standard error.',
    )
    .addOption(
      new Option('--role <ROLE>', 'what the node is to its network').choices(['master', 'worker', 'leecher']),
    )
    .option('--bootstrap <MULTIADDR>', 'a node to connect to at start; may be given several times', collect)
    .option(
      '--listen <MULTIADDR>',
      'where to accept connections, instead of the default; may be given several times',
      collect,
    )
    .option('--set <KEY=VALUE>', 'one key of the configuration; may be given several times', collect)
    .action(async (options: Flags, command: Command) =>
      run(command, async (context) => (await import('../work/start.ts')).start(context, options)),
    )

  program
    .command('stop')
    .summary('stop the running node')
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await import('../work/node.ts')).stop(context)),
    )

  program
    .command('status')
    .summary('role, peers, storage, jobs and health at a glance')
    .option('--ready', 'exit with 1 unless the node serves, as /health/ready says')
    .action(async (options: { ready?: boolean }, command: Command) =>
      run(command, async (context) => (await import('../work/node.ts')).status(context, options)),
    )

  program
    .command('id')
    .summary("the node's peer id, DID and addresses")
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await import('../work/node.ts')).id(context)),
    )

  program
    .command('doctor')
    .summary('find what is wrong and say what to do about it')
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await import('../work/doctor.ts')).doctor(context)),
    )

  program
    .command('stats')
    .summary('what the node used and moved since it started')
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await import('../work/node.ts')).stats(context)),
    )
}
