import type { Command } from 'commander'
import type { Run } from './register.ts'

/** private add, rm, ls: content that stays within this network. */
export function registerPrivate(program: Command, run: Run): void {
  const work = () => import('../work/private.ts')
  const command = program
    .command('private')
    .summary('content for peers of this network alone: add, remove, list')

  command
    .command('add')
    .summary('make content private from now on')
    .argument('<cid>')
    .option('--detach', 'do not wait; print the job')
    .action(async (cid: string, options: { detach?: boolean }, self: Command) =>
      run(self, async (context) => (await work()).makePrivate(context, cid, options)),
    )

  command
    .command('rm')
    .summary('make private content public, but for what it shares')
    .argument('<cid>')
    .option('--detach', 'do not wait; print the job')
    .action(async (cid: string, options: { detach?: boolean }, self: Command) =>
      run(self, async (context) => (await work()).makePublic(context, cid, options)),
    )

  command
    .command('ls')
    .summary('what is private')
    .action(async (_: unknown, self: Command) => run(self, async (context) => (await work()).list(context)))
}
