import { text } from 'node:stream/consumers'
import { P2pnodeError } from '../../protocols/shared/errors.ts'

/** Whether there is somebody to ask. */
export const canAsk = (): boolean => process.stdin.isTTY && process.stderr.isTTY

/** What somebody types unseen; undefined for nothing. @throws ERR_CANCELLED */
export async function ask(message: string): Promise<string | undefined> {
  const { isCancel, password } = await import('@clack/prompts')
  const answer = await password({ message, output: process.stderr })
  if (isCancel(answer)) throw new P2pnodeError('ERR_CANCELLED', 'cancelled', 'cancelled')
  return answer === '' ? undefined : answer
}

/**
 * A secret of one line, with one space between its words: from the terminal or standard input, never as an argument, which every user of
 * the machine sees.
 *
 * @throws the error of `missing`, ERR_CANCELLED
 */
export async function secretLine(message: string, missing: () => Error): Promise<string> {
  const given = canAsk() ? await ask(message) : await text(process.stdin)
  const typed = (given ?? '').trim().split(/\s+/).join(' ')
  if (typed === '') throw missing()
  return typed
}
