import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setImmediate as yieldToLoop } from 'node:timers/promises'
import { parse as parseYaml } from 'yaml'
import type { Logger } from '../../telemetry/types.ts'
import {
  LINES_PER_TURN,
  MAX_FILES,
  MAX_HEADER_BYTES,
  MAX_LINE_CHARACTERS,
  MAX_NAMED_PROBLEMS,
  MAX_RULES,
} from './limits.ts'
import { DenyRules, RuleProblem } from './rules.ts'

const EXTENSION = '.deny'
const END_OF_HEADER = '---'

/**
 * Reads every `*.deny` of a folder, in the order of their names; none where there is no folder. A line that is no rule is left out and
 * warned of; a file whose header is not that of a list which this understands is left out whole.
 *
 * @throws the signal's reason
 */
export async function readDenylists(folder: string, log: Logger, signal: AbortSignal): Promise<DenyRules> {
  const rules = new DenyRules()
  const entries = await readdir(folder).catch(() => [])
  const names = entries.filter((name) => name.endsWith(EXTENSION)).toSorted()
  if (names.length > MAX_FILES)
    log.warn({ folder, files: names.length, read: MAX_FILES }, 'there are more denylists than are read')
  for (const name of names.slice(0, MAX_FILES)) {
    signal.throwIfAborted()
    try {
      await readDenylist(join(folder, name), rules, log, signal)
    } catch (error) {
      signal.throwIfAborted()
      log.warn({ file: name, err: error }, 'a denylist could not be read')
    }
  }
  return rules
}

async function readDenylist(path: string, rules: DenyRules, log: Logger, signal: AbortSignal): Promise<void> {
  const counts = { rules: 0, problems: 0 }
  let line = 0
  let header: string[] | undefined = []
  let headerBytes = 0

  const take = (text: string, number: number): void => {
    try {
      if (rules.size >= MAX_RULES) throw new RuleProblem(`there are ${MAX_RULES} rules, which is the bound`)
      if (rules.add(text)) counts.rules += 1
    } catch (error) {
      if (!(error instanceof RuleProblem)) throw error
      counts.problems += 1
      if (counts.problems <= MAX_NAMED_PROBLEMS)
        log.warn({ path, line: number, problem: error.message }, 'a line of a denylist is no rule')
    }
  }
  /** What was taken for a header was none. */
  const takeHeld = (): void => {
    header?.forEach((text, index) => take(text, index + 1))
    header = undefined
  }

  const lines = createInterface({ input: createReadStream(path, { signal }), crlfDelay: Infinity })
  for await (const text of lines) {
    line += 1
    if (line % LINES_PER_TURN === 0) await yieldToLoop()
    if (header === undefined) {
      take(text, line)
      continue
    }
    if (text.trimEnd() === END_OF_HEADER) {
      assertUnderstood(header.join('\n'))
      header = undefined
      continue
    }
    header.push(text.slice(0, MAX_LINE_CHARACTERS + 1))
    headerBytes += Buffer.byteLength(text) + 1
    if (headerBytes > MAX_HEADER_BYTES) takeHeld()
  }
  takeHeld()
  log.info({ path, ...counts }, 'a denylist was read')
}

/** @throws RuleProblem for another version, and what YAML throws */
function assertUnderstood(header: string): void {
  const fields: unknown = parseYaml(header)
  const version: unknown =
    typeof fields === 'object' && fields !== null && 'version' in fields ? fields.version : 1
  if (version !== 1) throw new RuleProblem(`version ${String(version)} of the format is not understood`)
}
