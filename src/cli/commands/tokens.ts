import { type Command, Option } from 'commander'
import type { Run } from './register.ts'

/** token create, ls, revoke: who may call the API. */
export function registerTokens(program: Command, run: Run): void {
  const work = () => import('../work/tokens.ts')
  const token = program.command('token').summary('tokens of the HTTP API: create, list, revoke')

  token
    .command('create')
    .summary('make a token; it is shown this once')
    .argument('<name>', 'what it is for')
    .addOption(
      new Option('--scope <SCOPE>', 'what it may do').choices(['read', 'write', 'admin']).default('read'),
    )
    .action(async (name: string, options: { scope: 'read' | 'write' | 'admin' }, command: Command) =>
      run(command, async (context) => (await work()).create(context, name, options.scope)),
    )

  token
    .command('ls')
    .summary('tokens without their secrets')
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await work()).list(context)),
    )

  token
    .command('revoke')
    .summary('end a token')
    .argument('<id>')
    .action(async (id: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).revoke(context, id)),
    )
}
