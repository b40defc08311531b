import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Run, wholeNumber } from './register.ts'

/** trust ls, show, set, recommend, audit: whom this node believes, and why. */
export function registerTrust(program: Command, run: Run): void {
  const work = () => import('../work/trust.ts')
  const trust = program
    .command('trust')
    .summary('whom this node believes: list, explain, set, recommend, audit')

  trust
    .command('ls')
    .summary('peers of whom something is known, with their scores')
    .option('--limit <N>', 'so many at most (100)', wholeNumber(1))
    .option('--after <PEER>', 'those that follow this one')
    .action(async (options: { limit?: number; after?: string }, command: Command) =>
      run(command, async (context) => (await work()).list(context, options)),
    )

  trust
    .command('show')
    .summary('where the score of a peer comes from, and what it allows')
    .argument('<peer>', 'peer id or did:key')
    .action(async (peer: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).show(context, peer)),
    )

  trust
    .command('set')
    .summary('say what a peer is worth, whatever it does')
    .argument('<peer>', 'peer id or did:key')
    .argument('[score]', 'from 0 to 1', score)
    .addOption(new Option('--clear', 'let what was seen count again'))
    .action(async (peer: string, value: number | undefined, options: { clear?: boolean }, command: Command) =>
      run(command, async (context) => (await work()).set(context, peer, value, options.clear ?? false)),
    )

  trust
    .command('recommend')
    .summary('tell the network what this node thinks of a peer, or list what it tells')
    .argument('[peer]', 'peer id or did:key')
    .addOption(new Option('--withdraw', 'take back what was told, and tell nothing more of it'))
    .action(async (peer: string | undefined, options: { withdraw?: boolean }, command: Command) =>
      run(command, async (context) => (await work()).recommend(context, peer, options.withdraw ?? false)),
    )

  trust
    .command('audit')
    .summary('check that no stored evidence was changed, taken out or put in')
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await work()).audit(context)),
    )
}

function score(text: string): number {
  const value = /^(0|1|0?\.\d+|1\.0+)$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= 0 && value <= 1)) throw new InvalidArgumentError('It must be a number from 0 to 1.')
  return value
}
