/**
 * The client of a node's HTTP API: `new Client(locate({ home }))`.
 *
 * Calls are typed by src/client/api.gen.ts, generated out of the served document. Importing this costs a few
 * milliseconds: nothing of the daemon, of fetch or of a schema library is loaded.
 */
export { Client, type Download, type DownloadPath, type LinesPath, type Schema } from './client.ts'
export { failureOfJob } from './errors.ts'
export type { EventsOptions, NodeEvent } from './events.ts'
export { EXIT_CODE_OF_KIND, EXIT_NO_DAEMON, exitCodeOf, kindOf, NO_DAEMON_CODE } from './exit-codes.ts'
export { type ApiFile, type Endpoint, locate, type LocateOptions, readApiFile } from './locate.ts'
export type { UploadOptions } from './upload.ts'
