import type { Command } from 'commander'
import type { Run } from './register.ts'

/** gc, scrub, backup, restore: looking after what is stored. */
export function registerStorage(program: Command, run: Run): void {
  const work = () => import('../work/storage.ts')

  program
    .command('gc')
    .summary('remove blocks that no pin keeps')
    .option('--detach', 'do not wait; print the job')
    .action(async (options: { detach?: boolean }, command: Command) =>
      run(command, async (context) => (await work()).gc(context, options.detach === true)),
    )

  program
    .command('scrub')
    .summary('read every block, set rotten ones aside and fetch them again')
    .option('--detach', 'do not wait; print the job')
    .action(async (options: { detach?: boolean }, command: Command) =>
      run(command, async (context) => (await work()).scrub(context, options.detach === true)),
    )

  program
    .command('backup')
    .summary('write a consistent copy of the running node to a file')
    .argument('<file>', 'a tar archive that must not exist; it holds keys')
    .action(async (file: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).backup(context, file)),
    )

  program
    .command('restore')
    .summary('put a backup back into an empty home')
    .argument('<file>', 'what `backup` wrote')
    .action(async (file: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).restore(context, file)),
    )
}
