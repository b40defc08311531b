import { setTimeout as sleep } from 'node:timers/promises'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import { type Client, NO_DAEMON_CODE } from '../client/index.ts'
import type { CliContext } from './context.ts'
import { endpointOf } from './daemon.ts'

/** How long a daemon may be away (restarting after a crash or an upgrade) before a command gives up. */
const PATIENCE_MS = 60_000
const RETRY_DELAY_MS = 250
const MAX_RETRY_DELAY_MS = 4_000

/** Failures of the way to the daemon, not of what was asked. */
const INTERRUPTIONS = new Set([NO_DAEMON_CODE, 'ERR_CONNECTION_LOST', 'ERR_CONNECTION_IDLE', 'ERR_STOPPING'])

export function isInterruption(error: unknown): boolean {
  return error instanceof P2pnodeError && INTERRUPTIONS.has(error.code)
}

interface PatienceOptions {
  /** Nothing was asked of the daemon before: one that is not there at all is then a failure. */
  first?: boolean
  /** Failures that pass by themselves, tried again until the signal aborts. */
  passes?: (error: unknown) => boolean
  /** Ends the waiting; by default, Ctrl-C. */
  signal?: AbortSignal
}

/**
 * Does something that needs the daemon, again and again while the daemon is away for a while. `attempt` must be able to
 * go on where it was.
 */
export async function patiently<T>(
  context: CliContext,
  client: Client,
  attempt: () => Promise<T>,
  options: PatienceOptions = {},
): Promise<T> {
  const signal = options.signal ?? context.signal
  let awaySinceMs: number | undefined
  let delayMs = RETRY_DELAY_MS
  for (;;) {
    const beganAtMs = performance.now()
    try {
      return await attempt()
    } catch (error) {
      if (signal.aborted) throw error
      if (options.passes?.(error) === true) {
        await sleep(MAX_RETRY_DELAY_MS / 4, undefined, { signal })
        continue
      }
      if (!isInterruption(error)) throw error
      const isAbsent = error instanceof P2pnodeError && error.code === NO_DAEMON_CODE
      if (options.first === true && awaySinceMs === undefined && isAbsent) throw error
      // An attempt that lasted was connected for a while: the patience begins anew.
      if (awaySinceMs === undefined || performance.now() - beganAtMs > MAX_RETRY_DELAY_MS) {
        awaySinceMs = performance.now()
        delayMs = RETRY_DELAY_MS
        context.output.note('the daemon went away; waiting for it to come back')
      }
      if (performance.now() - awaySinceMs > PATIENCE_MS) throw error
      await sleep(delayMs, undefined, { signal })
      delayMs = Math.min(MAX_RETRY_DELAY_MS, delayMs * 2)
      try {
        // A restarted daemon may listen on another port.
        client.transport.endpoint = endpointOf(context)
      } catch {
        // Not back yet.
      }
    }
  }
}
