import { ApiError } from './errors.ts'

const PROBLEMS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use; free it or choose another with --set api.port=PORT (0 takes a free one)',
  EACCES: 'the port may not be used by this user; choose one above 1023 with --set api.port=PORT',
  EADDRNOTAVAIL: 'this machine does not have the address; correct api.host',
}

/** Why the server cannot listen, with what to do about it. */
export function listenError(error: unknown, host: string, port: number): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  const problem = PROBLEMS[code]
  if (problem === undefined) return error
  return new ApiError('ERR_API_LISTEN', 'conflict', `The API cannot listen on ${host}:${port}: ${problem}`, {
    details: { host, port, code },
    cause: error,
  })
}
