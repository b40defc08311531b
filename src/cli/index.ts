import { Command, CommanderError } from 'commander'
import { defaultHome } from '../../config/home.ts'
import { version } from '../../config/version.ts'
import { watchForCancel } from './cancel.ts'
import { registerAll } from './commands/index.ts'
import type { CliContext, DaemonHandlers, GlobalOptions } from './context.ts'
import { reportFailure } from './failure.ts'
import { Output } from './output.ts'

export type { DaemonHandlers, StartOptions } from './context.ts'

const EXIT_USAGE = 2

/** Every command with its options and help; `run` is what their actions are wrapped in. */
export function createProgram(run: Parameters<typeof registerAll>[1]): Command {
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
    .showHelpAfterError('(add --help to see what it takes)')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
  registerAll(program, run)
  return program
}

/** Whether `--json` is among the arguments, also where they are too wrong to be parsed. */
function wantsJson(args: string[]): boolean {
  const end = args.indexOf('--')
  return (end === -1 ? args : args.slice(0, end)).includes('--json')
}

/** Runs one command line and resolves to its exit code; never throws and never ends the process by itself. */
export async function runCli(args: string[], handlers: DaemonHandlers): Promise<number> {
  let exitCode = 0
  const json = wantsJson(args)
  const outputOf = (options: GlobalOptions): Output =>
    new Output({
      json,
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
      // Nobody reads any more: what is under way has lost its purpose.
      signal: cancel === undefined ? output.closed : AbortSignal.any([cancel.signal, output.closed]),
      handlers,
    }
    try {
      exitCode = (await work(context)) ?? 0
      await output.flush()
      output.closed.throwIfAborted()
    } catch (error) {
      exitCode = reportFailure(error, output)
    } finally {
      cancel?.end()
    }
  }

  const program = createProgram(run)
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    // Help and version were asked for; everything else is wrong usage, already explained by commander.
    if (error.exitCode === 0) return 0
    exitCode = EXIT_USAGE
    if (json) {
      const message =
        error.code === 'commander.help'
          ? 'a command is missing; p2pnode --help lists them'
          : error.message.replace(/^error: /, '')
      outputOf({}).result({ error: { code: 'ERR_USAGE', kind: 'usage', message, details: {} } }, () => '')
    }
  }
  return exitCode
}
