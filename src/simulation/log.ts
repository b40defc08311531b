import type { Logger } from '../telemetry/types.ts'
import { MAX_LISTED_LOG_MESSAGES, MAX_LOG_MESSAGES } from './limits.ts'
import type { SimulationReport } from './types.ts'

/** A log of all nodes that keeps no lines: it counts what was warned about. */
export interface CountingLog extends Logger {
  summary(): SimulationReport['log']
}

export function countingLog(): CountingLog {
  const totals = { warn: 0, error: 0 }
  const counts = new Map<string, { level: 'warn' | 'error'; message: string; count: number }>()

  function note(level: 'warn' | 'error', details: object | string, message?: string): void {
    totals[level] += 1
    const text = typeof details === 'string' ? details : (message ?? 'without words')
    const key = `${level} ${text}`
    const known = counts.get(key)
    if (known !== undefined) known.count += 1
    else if (counts.size < MAX_LOG_MESSAGES) counts.set(key, { level, message: text, count: 1 })
  }

  const log: CountingLog = {
    trace() {},
    debug() {},
    info() {},
    warn: (details, message) => note('warn', details, message),
    error: (details, message) => note('error', details, message),
    child: () => log,
    summary: () => ({
      warnings: totals.warn,
      errors: totals.error,
      messages: [...counts.values()]
        .sort((a, b) => b.count - a.count)
        .slice(0, MAX_LISTED_LOG_MESSAGES)
        .map((entry) => ({ ...entry })),
    }),
  }
  return log
}
