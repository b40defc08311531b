import { type Command, InvalidArgumentError, Option } from 'commander'
import type { PutOptions } from '../work/put.ts'
import type { Run } from './register.ts'

const TARGET = 'link, .manifest file, or name (name@version where there are several)'

/** `auto`, `copies:N`, `rs:K/N`: wrong ones are told before anything is read. */
function redundancy(text: string): string {
  const [, copies] = /^copies:(\d{1,2})$/.exec(text) ?? []
  const [, k, n] = /^rs:(\d{1,2})\/(\d{1,2})$/.exec(text) ?? []
  const isCopies = copies !== undefined && Number(copies) >= 1 && Number(copies) <= 64
  const isCode = k !== undefined && Number(k) >= 1 && Number(k) < Number(n) && Number(n) <= 64
  if (text !== 'auto' && !isCopies && !isCode)
    throw new InvalidArgumentError('It must be auto, copies:N, or rs:K/N with K < N and N at most 64.')
  return text
}

/** put, rm, share, health, repair, prune, leave, inspect, state: private files. `get`, `cat` and `ls` are with content. */
export function registerVault(program: Command, run: Run): void {
  const work = () => import('../work/vault.ts')
  const detach = () => new Option('--detach', 'do not wait; print the job')

  program
    .command('put')
    .summary('keep a file or folder in private on other nodes, and print its link')
    .description(
      'Compresses, encrypts and codes a file or folder, and spreads it over nodes that cannot read it. Whoever has the printed link can.',
    )
    .argument('<path>', 'file or folder; links inside a folder stay links')
    .option(
      '--redundancy <R>',
      'auto, copies:N, or rs:K/N: any K of N parts are enough (default: vault.redundancy)',
      redundancy,
    )
    .option('--name <NAME>', 'as ls shows it; the same name again makes a version (default: its own)')
    .option('--manifest <FILE>', 'also write a .manifest file, which reads like the link')
    .option('--allow-degraded', 'store what can be with too few holders; the rest follows when peers come')
    .option('--detach', 'do not wait for the end of the job once the bytes are sent')
    .action(async (path: string, options: PutOptions, command: Command) =>
      run(command, async (context) => (await import('../work/put.ts')).put(context, path, options)),
    )

  program
    .command('rm')
    .summary('delete a private file from the nodes that hold it')
    .argument('<target>', TARGET)
    .addOption(detach())
    .action(async (target: string, options: { detach?: boolean }, command: Command) =>
      run(command, async (context) => (await work()).remove(context, target, options.detach === true)),
    )

  program
    .command('share')
    .summary('print the link of a private file, with as much power as you choose')
    .argument('<target>', TARGET)
    .option('--verify-only', 'a link that checks and repairs, and reads nothing')
    .option('--owner', 'a text for state import that can also renew and delete')
    .action(async (target: string, options: { verifyOnly?: boolean; owner?: boolean }, command: Command) =>
      run(command, async (context) => (await work()).share(context, target, options)),
    )

  program
    .command('health')
    .summary('how many parts of a private file are alive, as measured')
    .argument('<target>', `${TARGET}; a verify link is enough`)
    .option('--fresh', 'challenge the holders now, in place of the last audits')
    .action(async (target: string, options: { fresh?: boolean }, command: Command) =>
      run(command, async (context) => (await work()).health(context, target, options.fresh === true)),
    )

  program
    .command('repair')
    .summary('make missing parts of a private file again, now')
    .argument('<target>', `${TARGET}; a verify link is enough`)
    .addOption(detach())
    .action(async (target: string, options: { detach?: boolean }, command: Command) =>
      run(command, async (context) => (await work()).repair(context, target, options.detach === true)),
    )

  program
    .command('prune')
    .summary('remove parts that expired, were deleted or were abandoned')
    .option('--dry-run', 'only say what would be removed')
    .addOption(detach())
    .action(async (options: { dryRun?: boolean; detach?: boolean }, command: Command) =>
      run(command, async (context) => (await work()).prune(context, options)),
    )

  program
    .command('leave')
    .summary('hand over what this node holds for others, then stop it')
    .option('--force', 'stop also where something would drop below its minimum')
    .option('--detach', 'do not wait and do not stop; print the job')
    .action(async (options: { force?: boolean; detach?: boolean }, command: Command) =>
      run(command, async (context) => (await work()).leave(context, options)),
    )

  program
    .command('inspect')
    .summary('say what a link, a .manifest file or a CID is; works without a node')
    .argument('<target>', 'link, .manifest file or CID; no key is shown')
    .action(async (target: string, _: unknown, command: Command) =>
      run(command, async (context) => (await import('../work/inspect.ts')).inspect(context, target)),
    )

  registerState(program, run)
}

function registerState(program: Command, run: Run): void {
  const work = () => import('../work/state.ts')
  const state = program
    .command('state')
    .summary("the owner's keys and files: export, import, phrase, recover")

  state
    .command('export')
    .summary('write everything that this owner knows to a file')
    .argument('<file>', 'must not exist; under P2PNODE_PASSPHRASE it opens anywhere')
    .action(async (file: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).exportState(context, file)),
    )

  state
    .command('import')
    .summary('add an exported state, or what share --owner printed')
    .argument('<file>', 'what export wrote')
    .action(async (file: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).importState(context, file)),
    )

  state
    .command('phrase')
    .summary('print the 24 words that bring every private file back')
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await work()).phrase(context)),
    )

  state
    .command('recover')
    .summary('bring files back by the recovery phrase, read from standard input')
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await work()).recover(context)),
    )
}
