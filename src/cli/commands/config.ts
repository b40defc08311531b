import { type Command, Option } from 'commander'
import type { Run } from './register.ts'

/** config init, show, validate, set: what an operator sets. */
export function registerConfig(program: Command, run: Run): void {
  const work = () => import('../work/config.ts')
  const config = program.command('config').summary('the configuration: init, show, validate, set')

  config
    .command('init')
    .summary('write HOME/config.yaml with every key explained')
    .option('--public', 'for a node on the public IPFS network')
    .addOption(
      new Option('--role <ROLE>', 'what the node is to its network').choices(['master', 'worker', 'leecher']),
    )
    .action(async (options: { public?: boolean; role?: 'master' | 'worker' | 'leecher' }, command: Command) =>
      run(command, async (context) => (await work()).init(context, options)),
    )

  config
    .command('show')
    .summary('what is in force, and where each value comes from')
    .argument('[key]', 'only this key, or those below it')
    .action(async (key: string | undefined, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).show(context, key)),
    )

  config
    .command('validate')
    .summary('check the configuration without starting anything')
    .argument('[file]', 'another file than HOME/config.yaml')
    .action(async (file: string | undefined, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).validate(context, file)),
    )

  config
    .command('set')
    .summary('change keys in HOME/config.yaml')
    .argument('<key>', 'such as storage.quota')
    .argument('<value>', 'such as 200GiB; a list as JSON')
    .action(async (key: string, value: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).set(context, key, value)),
    )
}
