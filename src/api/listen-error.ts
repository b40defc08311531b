import { ApiError } from './errors.ts'

/** Servers by their section of the configuration. */
const NAMES = { api: 'The API', gateway: 'The gateway' } as const

const PROBLEMS: Readonly<Record<string, (section: string) => string>> = {
  EADDRINUSE: (section) =>
    `the port is in use; free it or choose another with --set ${section}.port=PORT (0 takes a free one)`,
  EACCES: (section) =>
    `the port may not be used by this user; choose one above 1023 with --set ${section}.port=PORT`,
  EADDRNOTAVAIL: (section) => `this machine does not have the address; correct ${section}.host`,
}

/** Why a server cannot listen, with what to do about it: ERR_API_LISTEN or ERR_GATEWAY_LISTEN, or the error itself. */
export function listenError(
  error: unknown,
  section: keyof typeof NAMES,
  host: string,
  port: number,
): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  const problem = PROBLEMS[code]?.(section)
  if (problem === undefined) return error
  const message = `${NAMES[section]} cannot listen on ${host}:${port}: ${problem}`
  return new ApiError(`ERR_${section.toUpperCase()}_LISTEN`, 'conflict', message, {
    details: { host, port, code },
    cause: error,
  })
}
