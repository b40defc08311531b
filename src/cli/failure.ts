import { type ErrorKind, P2pnodeError } from '../../protocols/shared/errors.ts'
import { exitCodeOf } from '../client/index.ts'
import type { Output } from './output.ts'

const EXIT_FAILED = 1

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

/** Whether whoever read standard output (`p2pnode ls | head`) had all it wanted. */
function isReaderGone(error: unknown): boolean {
  return codeOf(error) === 'EPIPE'
}

/** What went wrong as an error with a code; a bug keeps its stack, which is what its report needs. */
function known(error: unknown): { code: string; kind: ErrorKind; message: string; details: object } {
  if (error instanceof P2pnodeError) return error
  if (error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError'))
    return { code: 'ERR_CANCELLED', kind: 'cancelled', message: 'cancelled', details: {} }
  // The operating system refused something that no command foresaw: its message names the call and the path.
  if (error instanceof Error && 'syscall' in error)
    return { code: 'ERR_SYSTEM', kind: 'failed', message: error.message, details: { system: codeOf(error) } }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { code: 'ERR_INTERNAL', kind: 'failed', message, details: {} }
}

/** Tells what went wrong, once, and gives the exit code. With `--json` the one line on standard output is `{"error":…}`. */
export function reportFailure(error: unknown, output: Output): number {
  const { closed } = output
  if (isReaderGone(closed.aborted ? closed.reason : error)) return 0
  const { code, kind, message, details } = known(closed.aborted ? closed.reason : error)
  if (output.json && !closed.aborted) output.result({ error: { code, kind, message, details } }, () => '')
  else output.error(message)
  return code === 'ERR_INTERNAL' ? EXIT_FAILED : exitCodeOf({ code, kind })
}
