import { statfs } from 'node:fs/promises'
import { diskFull } from '../errors.ts'

/**
 * Blocks and columns leave so much of the disk free: a disk that is full to the last byte could not take the few pages either that
 * a collection, the end of a job or a lease must write, and so nothing could ever be freed. One sixteenth of a small
 * disk; on a large one, several logs of SQLite at their usual size (4 MiB each).
 */
const RESERVE_SHARE = 1 / 16
const MAX_RESERVE_BYTES = 64 * 1024 * 1024
/** Other programs write too: what was measured is believed for so long, or until so much was written. */
const MEASURE_INTERVAL_MS = 250
const MEASURE_AFTER_BYTES = 16 * 1024 * 1024

/** Refuses what is new while the disk's last bytes are needed for looking after the old ones. */
export class DiskReserve {
  readonly #path: string
  #freeBytes = 0
  #reserveBytes = 0
  /** Admitted, and maybe not on the disk: no measurement shows them for certain. */
  #underWayBytes = 0
  /** Written or given up since the last measurement began. */
  #endedBytes = 0
  #measuredAtMs = Number.NEGATIVE_INFINITY
  #measuring: Promise<void> | undefined
  /** What those wait for who may only be refused once others have written. */
  #anyEnded: PromiseWithResolvers<void> | undefined

  /** @param path any folder on the disk */
  constructor(path: string) {
    this.#path = path
  }

  /**
   * Before `bytes` are written. Call what it resolves with once they are, or never will be.
   * @throws ERR_DISK_FULL where they would go into the reserve
   */
  async admit(bytes: number): Promise<() => void> {
    // Others may have been admitted between the answer and this turn.
    do await this.assertRoom(bytes)
    while (!this.#fits(bytes))
    this.#underWayBytes += bytes
    let isUnderWay = true
    return () => {
      if (!isUnderWay) return
      isUnderWay = false
      this.#underWayBytes -= bytes
      this.#endedBytes += bytes
      this.#anyEnded?.resolve()
      this.#anyEnded = undefined
    }
  }

  /**
   * Before a promise to take `bytes`, which are admitted part by part as they come.
   * @throws ERR_DISK_FULL where they would go into the reserve
   */
  async assertRoom(bytes: number): Promise<void> {
    const isOld = performance.now() - this.#measuredAtMs > MEASURE_INTERVAL_MS
    if (isOld || this.#endedBytes > MEASURE_AFTER_BYTES) await this.#measureOnce()
    // Nobody is refused by an old figure, somebody may just have made room; nor for what others write, which the
    // measurement may have seen already.
    while (!this.#fits(bytes)) {
      this.#anyEnded ??= Promise.withResolvers()
      const ended = this.#anyEnded.promise
      await this.#measureOnce()
      if (this.#fits(bytes)) return
      if (this.#underWayBytes > 0) await ended
      else if (this.#endedBytes === 0) throw diskFull(undefined)
    }
  }

  #fits(bytes: number): boolean {
    return this.#freeBytes - this.#underWayBytes - this.#endedBytes - bytes >= this.#reserveBytes
  }

  #measureOnce(): Promise<void> {
    this.#measuring ??= this.#measure()
    return this.#measuring
  }

  async #measure(): Promise<void> {
    const endedBefore = this.#endedBytes
    try {
      const { bavail, blocks, bsize } = await statfs(this.#path)
      this.#freeBytes = bavail * bsize
      this.#reserveBytes = Math.min(MAX_RESERVE_BYTES, blocks * bsize * RESERVE_SHARE)
      this.#endedBytes -= endedBefore
      this.#measuredAtMs = performance.now()
    } finally {
      this.#measuring = undefined
    }
  }
}
