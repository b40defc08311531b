import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseDuration, parseSize } from '../../../config/units.ts'
import type { PolicyOptions } from '../work/policies.ts'
import { type Run, wholeNumber } from './register.ts'

function quantity(parse: (text: string) => number | undefined, form: string): (text: string) => number {
  return (text) => {
    const value = parse(text)
    if (value === undefined) throw new InvalidArgumentError(`It must be ${form}.`)
    return value
  }
}

function score(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError('It must be a score from 0 to 1.')
  return value
}

/** pin policy ls, add, rm, copies: what is kept without being told each time. */
export function registerPinPolicies(pin: Command, run: Run): void {
  const work = () => import('../work/policies.ts')
  const policy = pin.command('policy').summary('rules by which the node pins, and has others keep copies')

  policy
    .command('ls')
    .summary('the rules, and what they keep')
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await work()).list(context)),
    )

  policy
    .command('add')
    .summary('keep by a rule from now on')
    .argument(
      '<kind>',
      'auto: what peers announce; recent: what was read lately; copies: copies at other nodes',
    )
    .addOption(new Option('--min-score <SCORE>', 'auto, copies: least score of the peers').argParser(score))
    .addOption(
      new Option('--budget <SIZE>', 'auto, recent: what it may keep, such as 10GiB').argParser(
        quantity(parseSize, 'a size with its unit, such as 10GiB'),
      ),
    )
    .option('--peer <PEER>', 'auto: only what this peer announces')
    .addOption(
      new Option('--window <DURATION>', 'recent: how long after the last reading, such as 7d').argParser(
        quantity(parseDuration, 'a duration with its unit, such as 7d'),
      ),
    )
    .option('--copies <N>', 'copies: how many at other nodes', wholeNumber(1))
    .option('--cid <CID>', 'copies: of this content alone (default: of everything that is pinned)')
    .action(async (kind: string, options: PolicyOptions, command: Command) =>
      run(command, async (context) => (await work()).add(context, kind, options)),
    )

  policy
    .command('rm')
    .summary('end a rule: its pins are removed, and copies are given back')
    .argument('<id>', 'as pin policy ls shows it', wholeNumber(1))
    .action(async (id: number, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).remove(context, id)),
    )

  policy
    .command('copies')
    .summary('which nodes keep copies of what is pinned here')
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await work()).copies(context)),
    )
}
