import { type Command, Option } from 'commander'
import { registerPinPolicies } from './pin-policies.ts'
import type { Run } from './register.ts'

const kindOption = (): Option =>
  new Option('--kind <KIND>', 'the whole DAG, or this block alone').choices(['recursive', 'direct'])

/** pin add, rm, ls: what the collector must keep. */
export function registerPins(program: Command, run: Run): void {
  const work = () => import('../work/pins.ts')
  const pin = program.command('pin').summary('what is kept: add, remove, list')

  pin
    .command('add')
    .summary('fetch what is missing and keep it')
    .argument('<address>', 'CID, CID/path, /ipfs/CID/path or /ipns/NAME/path')
    .option('--name <NAME>', 'name of the pin')
    .addOption(kindOption())
    .option('--detach', 'do not wait; print the job')
    .action(
      async (
        address: string,
        options: { name?: string; kind?: 'recursive' | 'direct'; detach?: boolean },
        command: Command,
      ) => run(command, async (context) => (await work()).add(context, address, options)),
    )

  pin
    .command('rm')
    .summary('no longer keep a CID; its blocks go at the next gc')
    .argument('<cid>')
    .option('--name <NAME>', 'only the pin of this name')
    .addOption(kindOption())
    .action(
      async (cid: string, options: { name?: string; kind?: 'recursive' | 'direct' }, command: Command) =>
        run(command, async (context) => (await work()).remove(context, cid, options)),
    )

  pin
    .command('ls')
    .summary('what is kept')
    .argument('[cid]', 'only the pins of this CID')
    .option('--name <NAME>', 'only pins of this name')
    .addOption(kindOption())
    .action(
      async (
        cid: string | undefined,
        options: { name?: string; kind?: 'recursive' | 'direct' },
        command: Command,
      ) =>
        run(command, async (context) =>
          (await work()).list(context, { ...options, ...(cid === undefined ? {} : { cid }) }),
        ),
    )

  registerPinPolicies(pin, run)
}
