import type { Command } from 'commander'
import { type Run, wholeNumber } from './register.ts'

const DEFAULT_NODES = 50

/** simulate: a network of its own, without a daemon. */
export function registerSimulate(program: Command, run: Run): void {
  program
    .command('simulate')
    .summary('many nodes in this process, and what they did')
    .description(
      'Starts nodes of all roles in this process, on loopback, in a network of their own; plays a scenario with them and prints what was seen. Needs no daemon, and leaves nothing behind.\n\n' +
        'Scenarios:\n' +
        '  basic    a fifth of the nodes add files, all fetch some of them\n' +
        '  churn    then a quarter leaves and comes back, while the others fetch\n' +
        '  private  private files are put over the nodes, and read by their links\n' +
        '  hostile  a third of the nodes lie, stay silent or throw away; the others learn whom to believe\n\n' +
        'Exits with 0 where all were connected in time and everything fetched was right; with 5 where bytes were wrong; with 1 where something was not found or not in time.',
    )
    .option('--count <N>', 'nodes in all, from 2 to 200', wholeNumber(1), DEFAULT_NODES)
    .option('--scenario <NAME>', 'what they do: basic, churn, private or hostile', 'basic')
    .action(async (options: { count: number; scenario: string }, command: Command) =>
      run(command, async (context) => (await import('../work/simulate.ts')).simulate(context, options)),
    )
}
