import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { noDaemon, noToken } from './errors.ts'

/** Where a daemon answers, and the token to show it. */
export interface Endpoint {
  url: string
  token?: string
}

export interface LocateOptions {
  home: string
  /** Instead of what HOME/api.json says. */
  api?: string | undefined
  /** Instead of what HOME/api.token holds. */
  token?: string | undefined
}

/** Contents of HOME/api.json: written when the daemon listens, removed when it stopped. */
export interface ApiFile {
  url: string
  pid: number
  version: string
  startedAtMs: number
}

/**
 * Finds the daemon of a data folder. That the files are there does not mean that it answers: after a kill they stay.
 *
 * @throws ERR_NO_DAEMON, ERR_NO_TOKEN
 */
export function locate(options: LocateOptions): Endpoint {
  const url = options.api ?? readApiFile(options.home)?.url
  if (url === undefined) throw noDaemon(undefined)
  return { url, token: options.token ?? readToken(join(options.home, 'api.token')) }
}

/** HOME/api.json, or undefined where there is none that can be read. */
export function readApiFile(home: string): ApiFile | undefined {
  try {
    const parsed = JSON.parse(readFileSync(join(home, 'api.json'), 'utf8')) as ApiFile
    return typeof parsed.url === 'string' ? parsed : undefined
  } catch {
    return undefined
  }
}

function readToken(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (cause) {
    throw noToken(path, cause)
  }
}
