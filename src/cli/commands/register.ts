import { type Command, InvalidArgumentError } from 'commander'
import { parseDuration } from '../../../config/units.ts'
import type { CliContext } from '../context.ts'

/**
 * Runs the work of a command with its context and turns what it throws into an exit code; see `runCli`.
 *
 * Only names, options and help live in what is loaded at every start. The work of a command is imported when it runs,
 * because a client command has 120 ms in all.
 */
export type Run = (
  command: Command,
  work: (context: CliContext) => Promise<number | undefined>,
) => Promise<void>

/** `--offset`, `--limit`: a whole number from `minimum` on. */
export function wholeNumber(minimum: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (!Number.isSafeInteger(value) || value < minimum)
      throw new InvalidArgumentError(`It must be a whole number from ${minimum} on.`)
    return value
  }
}

/** `48h`, `90s`, `0`: milliseconds. */
export function duration(text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined)
    throw new InvalidArgumentError('It must be a duration with its unit, such as 48h or 5m.')
  return ms
}

/** An option that may be given several times. */
export function collect(text: string, before: string[] = []): string[] {
  return [...before, text]
}
