import type { Blocks } from '../../storage/types.ts'
import type { PrivateContent } from '../private/private-content.ts'
import type { Block } from '../unixfs/node.ts'

/** What is private here, and whether what is imported now is to be. */
export interface ImportPrivacy {
  content: PrivateContent
  isPrivate: boolean
}

/** Bytes of blocks handed to storage and not durable yet: deep enough to keep a disk busy, little beside 400 MiB of RSS. */
const MAX_IN_FLIGHT_BYTES = 32 * 1024 * 1024
/** Small blocks share one commit of storage, so many of them may wait for it together. */
const MAX_IN_FLIGHT_BLOCKS = 1024

/**
 * Puts blocks that somebody adds here, with bounded concurrency. `put` resolves when there is room for more, not when the block is durable;
 * `barrier` tells that. The first failure ends the writer: every later call rejects with it.
 */
export class BlockWriter {
  readonly #blocks: Pick<Blocks, 'put'>
  readonly #signal: AbortSignal
  readonly #verified: boolean
  readonly #privacy: ImportPrivacy | undefined
  /** Blocks of a public import that are private all the same. */
  privateBlocks = 0
  readonly #inFlight = new Set<Promise<void>>()
  #inFlightBytes = 0
  #failure: { error: unknown } | undefined
  #wake: (() => void) | undefined

  /** @param options `verified`: the CIDs were just computed from the very bytes, so that storage need not hash again */
  constructor(
    blocks: Pick<Blocks, 'put'>,
    signal: AbortSignal,
    options: { verified: boolean; privacy?: ImportPrivacy | undefined },
  ) {
    this.#privacy = options.privacy
    this.#blocks = options.privacy?.isPrivate === true ? options.privacy.content : blocks
    this.#signal = signal
    this.#verified = options.verified
  }

  async put({ cid, bytes }: Block): Promise<void> {
    while (
      this.#failure === undefined &&
      (this.#inFlight.size >= MAX_IN_FLIGHT_BLOCKS ||
        (this.#inFlightBytes > 0 && this.#inFlightBytes + bytes.length > MAX_IN_FLIGHT_BYTES))
    ) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.#throwIfFailed()
    this.#signal.throwIfAborted()
    // What storage does with the bytes must not change what is counted here.
    const sizeBytes = bytes.length
    this.#inFlightBytes += sizeBytes
    if (this.#privacy?.isPrivate === false && this.#privacy.content.isPrivate(cid)) this.privateBlocks += 1
    const done = this.#blocks
      .put(cid, bytes, { signal: this.#signal, verified: this.#verified, isAdded: true })
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .finally(() => {
        this.#inFlight.delete(done)
        this.#inFlightBytes -= sizeBytes
        this.#wake?.()
        this.#wake = undefined
      })
    this.#inFlight.add(done)
  }

  /** Resolves once everything put so far is durable; what is put meanwhile is not waited for. */
  async barrier(): Promise<void> {
    await Promise.all(this.#inFlight)
    this.#throwIfFailed()
  }

  /** Resolves once storage has nothing of this writer in hand, however that went. */
  async settled(): Promise<void> {
    await Promise.all(this.#inFlight)
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
