import type { ComponentLogger, Logger } from '@libp2p/interface'

/** A libp2p logger that writes nothing. */
const SILENT: Logger = Object.assign(() => {}, {
  enabled: false,
  error() {},
  trace() {},
  newScope: () => SILENT,
})

/**
 * What libp2p tells of its own workings: where `DEBUG` is set its own logger, which writes what that names, and otherwise nothing. Its
 * own is made anew for each stream and asks the terminal for its colours each time: 5 % of what a stream costs.
 */
export function libraryLog(): { logger?: ComponentLogger } {
  // oxlint-disable-next-line node/no-process-env -- the library's own switch, which it reads there as well
  const debug = process.env['DEBUG']
  return debug === undefined || debug === '' ? { logger: { forComponent: () => SILENT } } : {}
}
