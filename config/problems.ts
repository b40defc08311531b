import { P2pnodeError } from '../protocols/shared/errors.ts'

/** One thing that is wrong with a configuration, in parts, so that a program can use it too. */
export interface Problem {
  /** The key's path as it was written, or null where the trouble is not about one key. */
  key: string | null
  /** What is wrong, with what was found and what is allowed. */
  message: string
  /** File and line, environment variable, or flag. */
  where: string
}

/** Longest piece of a wrong value that a message repeats, in characters: enough to recognise it in a terminal. */
const MAX_SHOWN_CHARS = 80

/**
 * A configuration that was refused, with every problem of every layer at once.
 *
 * `details.problems` is the list of `Problem`.
 */
export class ConfigError extends P2pnodeError {
  constructor(problems: readonly Problem[]) {
    const lines = problems.map(formatProblem)
    const message =
      lines.length === 1
        ? `invalid configuration: ${lines[0]}`
        : `invalid configuration, ${lines.length} problems:\n${lines.map((line) => `  ${line}`).join('\n')}`
    super('ERR_CONFIG_INVALID', 'usage', message, { details: { problems } })
    this.name = 'ConfigError'
  }
}

/** `config.yaml:3: storage.quota: found 5, allowed: …` */
export function formatProblem({ where, key, message }: Problem): string {
  return key === null || where.endsWith(` ${key}`) ? `${where}: ${message}` : `${where}: ${key}: ${message}`
}

/** A wrong value for a message: quoted, cut, on one line, without the credentials of URLs. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  const json = hideCredentials(JSON.stringify(value) ?? String(value))
  return json.length <= MAX_SHOWN_CHARS ? json : `${json.slice(0, MAX_SHOWN_CHARS)}…`
}

/** What stands for a hidden secret. */
export const HIDDEN = '***'

/** Puts `***` for the user and password of every URL in the text. */
export function hideCredentials(text: string): string {
  return text.replaceAll(/:\/\/[^/?#\s"]*@/g, `://${HIDDEN}@`)
}
