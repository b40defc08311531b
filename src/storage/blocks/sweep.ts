import { join } from 'node:path'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../telemetry/types.ts'
import type { FileSystem } from '../files/file-system.ts'
import { type BlocksLayout } from './layout.ts'
import { folderNames, parseFileName } from '../files/names.ts'

/** Files looked at between two pauses, and the pause: some 10 000 files a second, a few per cent of one core. */
const STEP_FILES = 64
const PAUSE_MS = 5

/**
 * Removes block files without a row, which a crash between the writing of a file and the commit of its row leaves, or
 * one between the removal of a row and that of its file. Runs in the background after a run that was not closed.
 */
export class Sweep {
  readonly #layout: BlocksLayout
  readonly #fs: FileSystem
  readonly #log: Logger
  readonly #remove: (mh: Uint8Array) => Promise<boolean>
  readonly #stop = new AbortController()
  #done: Promise<void> = Promise.resolve()
  #complete = true

  constructor(options: {
    layout: BlocksLayout
    fs: FileSystem
    log: Logger
    /** Removes the block's file where it has no row and none is being put. */
    remove: (mh: Uint8Array) => Promise<boolean>
  }) {
    this.#layout = options.layout
    this.#fs = options.fs
    this.#log = options.log
    this.#remove = options.remove
  }

  /** Every file has been looked at, or none had to be. */
  get complete(): boolean {
    return this.#complete
  }

  get done(): Promise<void> {
    return this.#done
  }

  start(): void {
    this.#complete = false
    this.#done = this.#run().catch((error: unknown) => {
      this.#log.warn({ err: error }, 'files without a block could not be swept; the next start tries again')
    })
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#done
  }

  async #run(): Promise<void> {
    let looked = 0
    let removed = 0
    for (const folder of folderNames()) {
      for await (const name of this.#fs.list(join(this.#layout.rootPath, folder))) {
        if (this.#stop.signal.aborted) return
        const mh = parseFileName(name)
        if (mh !== undefined && (await this.#remove(mh))) removed++
        if (++looked % STEP_FILES === 0) await sleep(PAUSE_MS)
      }
      if (this.#stop.signal.aborted) return
      await turn()
    }
    this.#complete = true
    this.#log.info({ looked, removed }, 'swept files without a block')
  }
}
