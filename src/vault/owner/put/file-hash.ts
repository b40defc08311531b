import { createSHA256 } from 'hash-wasm'
import { checkpointLost } from '../errors.ts'

type Hasher = Awaited<ReturnType<typeof createSHA256>>

/**
 * A SHA-256 that goes on after a crash: its state is part of the put's checkpoint. Node's hash is faster (1 300 MiB/s where
 * this has 160) and cannot be saved (docs/decisions/0007-a-hash-that-can-be-saved.md).
 */
export class FileHash {
  readonly #hasher: Hasher

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

  update(bytes: Uint8Array): void {
    this.#hasher.update(bytes)
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
