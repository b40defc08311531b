import { Command, CommanderError } from 'commander'
import { defaultHome } from '../../config/home.ts'
import { registerAll } from './commands/index.ts'
import { watchForCancel } from './cancel.ts'
import type { CliContext, DaemonHandlers, GlobalOptions } from './context.ts'
import { reportFailure } from './failure.ts'
import { Output } from './output.ts'
import { version } from '../../config/version.ts'

export type { DaemonHandlers, StartOptions } from './context.ts'

const EXIT_USAGE = 2

/** Runs one command line and resolves to its exit code; never throws and never ends the process by itself. */
export async function runCli(args: string[], handlers: DaemonHandlers): Promise<number> {
  let exitCode = 0

  const program = new Command('p2pnode')
    .description('A peer-to-peer node: storage, content and distribution without a server in the middle')
    .version(version, '--version', 'print the version')
    .option('--home <DIR>', 'data folder of the node (P2PNODE_HOME)')
    .option('--api <URL>', 'address of a running node (P2PNODE_API)')
    .option('--token <TOKEN>', 'token for that node (P2PNODE_TOKEN)')
    .option('--json', 'print one JSON line as the result, progress as JSON lines on standard error')
    .option('--quiet', 'print no progress and no remarks')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .showSuggestionAfterError(true)
    .configureHelp({ showGlobalOptions: false, sortSubcommands: false })
    .exitOverride()

  const outputOf = (options: GlobalOptions): Output =>
    new Output({
      json: options.json === true,
      quiet: options.quiet === true,
      stdout: process.stdout,
      stderr: process.stderr,
    })

  /** Wraps a command's work: gives it its context and turns what it throws into an exit code. */
  const run = async (
    command: Command,
    work: (context: CliContext) => Promise<number | undefined>,
  ): Promise<void> => {
    const options = command.optsWithGlobals<GlobalOptions>()
    const output = outputOf(options)
    const env = process.env
    // A daemon handles signals by itself; every other command is cancelled by them.
    const cancel = command.name() === 'start' ? undefined : watchForCancel()
    const context: CliContext = {
      output,
      home: options.home ?? env.P2PNODE_HOME ?? defaultHome(env, process.platform),
      api: options.api ?? env.P2PNODE_API,
      token: options.token ?? env.P2PNODE_TOKEN,
      env,
      signal: cancel?.signal ?? new AbortController().signal,
      handlers,
    }
    try {
      exitCode = (await work(context)) ?? 0
    } catch (error) {
      exitCode = reportFailure(error, output)
    } finally {
      cancel?.end()
    }
  }

  registerAll(program, run)
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    // Help and version were asked for; everything else is wrong usage, already explained by commander.
    exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE
  }
  return exitCode
}
