import type { ErrorKind } from '../../protocols/shared/errors.ts'

/** The exit code of a command for each kind of error (DESIGN.md, section 3). 0 is done. */
export const EXIT_CODE_OF_KIND: Readonly<Record<ErrorKind, number>> = {
  usage: 2,
  conflict: 1,
  'not-found': 4,
  verification: 5,
  denied: 6,
  timeout: 7,
  cancelled: 7,
  'no-space': 1,
  'too-large': 1,
  busy: 1,
  unavailable: 1,
  failed: 1,
}

/** No daemon answers: the one failure whose exit code is not decided by its kind. */
export const NO_DAEMON_CODE = 'ERR_NO_DAEMON'
export const EXIT_NO_DAEMON = 3

/** The kind of a failure that came as text, as in a job's `error.kind`; what is not known counts as `failed`. */
export const kindOf = (kind: string): ErrorKind =>
  Object.hasOwn(EXIT_CODE_OF_KIND, kind) ? (kind as ErrorKind) : 'failed'

export const exitCodeOf = (error: { code: string; kind: string }): number =>
  error.code === NO_DAEMON_CODE ? EXIT_NO_DAEMON : EXIT_CODE_OF_KIND[kindOf(error.kind)]
