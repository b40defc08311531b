/**
 * Loaded into a daemon with `--import`: SIGUSR2 ends the thread that writes blocks.db, as a crash of SQLite or of the
 * machine's memory would.
 */
import { syncBuiltinESMExports } from 'node:module'
import threads, { isMainThread, type Worker } from 'node:worker_threads'

if (isMainThread) {
  const writers = new Set<Worker>()
  threads.Worker = class extends threads.Worker {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args)
      if (String(args[0]).includes('writer.worker')) writers.add(this)
    }
  }
  syncBuiltinESMExports()
  process.on('SIGUSR2', () => {
    for (const writer of writers) void writer.terminate()
  })
}
