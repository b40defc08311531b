import { Argument, type Command } from 'commander'
import type { Run } from './register.ts'

/** completion: a script for the shell. */
export function registerCompletion(program: Command, run: Run): void {
  program
    .command('completion')
    .summary('a completion script for a shell, on standard output')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: 'bash' | 'zsh' | 'fish', _: unknown, command: Command) =>
      run(command, async (context) => {
        const { completionScript } = await import('../completion.ts')
        const script = completionScript(program, shell)
        context.output.result({ shell, script }, () => script)
        return 0
      }),
    )
}
