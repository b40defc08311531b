const EXIT_CANCELLED = 7

/** Ctrl-C, the polite end that service managers ask for, and a terminal that was closed. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Turns the first Ctrl-C (or SIGTERM, SIGHUP) into an aborted signal, so that a command can cancel what it began and
 * remove what it half wrote; a second one ends the process at once.
 */
export function watchForCancel(): { signal: AbortSignal; end: () => void } {
  const controller = new AbortController()
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(EXIT_CANCELLED)
    controller.abort()
  }
  for (const name of SIGNALS) process.on(name, onSignal)
  return {
    signal: controller.signal,
    end: () => {
      for (const name of SIGNALS) process.off(name, onSignal)
    },
  }
}
