import { P2pnodeError } from '../../protocols/shared/errors.ts'
import { exitCodeOf } from '../client/index.ts'
import type { Output } from './output.ts'

const EXIT_FAILED = 1

function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError')
}

/** Tells what went wrong, once, and gives the exit code. With `--json` the one line on standard output is `{"error":…}`. */
export function reportFailure(error: unknown, output: Output): number {
  const known = isAbort(error) ? new P2pnodeError('ERR_CANCELLED', 'cancelled', 'cancelled') : error
  if (known instanceof P2pnodeError) {
    const { code, kind, message, details } = known
    if (output.json) output.result({ error: { code, kind, message, details } }, () => '')
    else output.error(message)
    return exitCodeOf(known)
  }
  // A reader that closed the pipe (`p2pnode ls | head`) has all it wanted.
  if ((known as NodeJS.ErrnoException | undefined)?.code === 'EPIPE') return 0
  const message = known instanceof Error ? known.message : String(known)
  if (output.json)
    output.result({ error: { code: 'ERR_INTERNAL', kind: 'failed', message, details: {} } }, () => '')
  else output.error(known instanceof Error && known.stack !== undefined ? known.stack : message)
  return EXIT_FAILED
}
