const EXIT_CANCELLED = 7

/**
 * Turns the first Ctrl-C (or SIGTERM) into an aborted signal, so that a command can cancel what it began and remove
 * what it half wrote; a second one ends the process at once.
 */
export function watchForCancel(): { signal: AbortSignal; end: () => void } {
  const controller = new AbortController()
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(EXIT_CANCELLED)
    controller.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return {
    signal: controller.signal,
    end: () => {
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    },
  }
}
