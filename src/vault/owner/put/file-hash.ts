import { setImmediate as yieldToLoop } from 'node:timers/promises'
import { createSHA256 } from 'hash-wasm'
import { checkpointLost } from '../errors.ts'

/** Some 2 ms of work, after which the event loop has a turn: bytes that are there already would else be taken without any. */
const STEP_BYTES = 256 * 1024

type Hasher = Awaited<ReturnType<typeof createSHA256>>

/**
 * A SHA-256 that goes on after a crash: its state is part of the put's checkpoint. Node's hash is faster (1 300 MiB/s where
 * this has 160) and cannot be saved (docs/decisions/0007-a-hash-that-can-be-saved.md).
 */
export class FileHash {
  readonly #hasher: Hasher
  /** Bytes since the loop had its last turn. */
  #hashed = 0

  private constructor(hasher: Hasher) {
    this.#hasher = hasher
  }

  static async create(): Promise<FileHash> {
    const hash = new FileHash(await createSHA256())
    hash.reset()
    return hash
  }

  reset(): void {
    this.#hasher.init()
  }

  /** `bytes` must stay as they are until this resolves. */
  async update(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += STEP_BYTES) {
      this.#hasher.update(bytes.subarray(at, at + STEP_BYTES))
      this.#hashed += Math.min(STEP_BYTES, bytes.length - at)
      if (this.#hashed < STEP_BYTES) continue
      this.#hashed = 0
      await yieldToLoop()
    }
  }

  digest(): Uint8Array {
    return this.#hasher.digest('binary')
  }

  save(): string {
    return Buffer.from(this.#hasher.save()).toString('base64')
  }

  /** @throws ERR_CHECKPOINT_LOST where it was saved by another version of the library */
  load(saved: string): void {
    try {
      this.#hasher.load(new Uint8Array(Buffer.from(saved, 'base64')))
    } catch (cause) {
      throw checkpointLost('the state of its hash is of another version of p2pnode', cause)
    }
  }
}
