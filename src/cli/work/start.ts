import type { Flags } from '../../../config/index.ts'
import type { CliContext } from '../context.ts'

export async function start(context: CliContext, flags: Flags): Promise<number> {
  const canAsk = process.stdin.isTTY && process.stderr.isTTY
  return context.handlers.start({
    home: context.home,
    flags,
    env: context.env,
    json: context.output.json,
    quiet: context.output.quiet,
    ...(canAsk ? { askPassphrase } : {}),
  })
}

async function askPassphrase(): Promise<string | undefined> {
  const { isCancel, password } = await import('@clack/prompts')
  const answer = await password({ message: 'Passphrase of the identity', output: process.stderr })
  return isCancel(answer) ? undefined : answer
}
