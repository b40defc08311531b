import type { Bandwidth, Flow } from './bandwidth.ts'
import { MAX_FRAME_BYTES } from './limits.ts'
import { ProtocolViolationError } from './violation.ts'

/** Slices of bandwidth that are kept granted under a limit: 200 ms of it, more than a round trip across the world. */
const GRANTED_SLICES = 4

export interface CreditGrantsInit {
  windowBytes: number
  /** What limits this node's receiving; undefined where nothing does. */
  bandwidth: Bandwidth | undefined
  flow: Flow
  /** Sends a grant. */
  grant: (bytes: number) => void
  /** Whether anything is to come: else nothing is paid for. */
  isWanted: () => boolean
  /** Aborted when the stream ends. */
  signal: AbortSignal
}

/**
 * The receiver's side of credit: how much the sender may still send, and how much of what arrived has been dealt with
 * and can be granted anew.
 *
 * Without a limit the sender has the whole window from the start, and gets back a quarter at a time, so that a grant is sent
 * for many blocks and the sender is never near its end. Where this node's bandwidth is limited, what is received is paid for
 * before it is granted, a slice at a time: what the sender may send is then never more than this node may receive.
 */
export class CreditGrants {
  readonly #init: CreditGrantsInit
  /** Granted and not received. */
  #outstanding = 0
  /** That part of it which is paid for. */
  #paid = 0
  /** What may be granted: not granted yet, or dealt with. */
  #owed: number
  #isPaying = false

  constructor(init: CreditGrantsInit) {
    this.#init = init
    this.#owed = init.windowBytes
  }

  /** Bytes that the sender may still send. */
  get outstanding(): number {
    return this.#outstanding
  }

  /** The sender has credit for any frame: that nothing comes is not because this node holds it back. */
  get isAmple(): boolean {
    return this.#outstanding >= MAX_FRAME_BYTES
  }

  /** What to grant with the first message. Under a limit that is nothing: `wake`, called behind it, grants as it is paid for. */
  first(): number {
    if (this.#sliceBytes() < Infinity) return 0
    const bytes = this.#owed
    this.#owed = 0
    this.#outstanding += bytes
    return bytes
  }

  /** Something has come to be wanted. */
  wake(): void {
    if (this.#owed > 0) this.#grantMore()
  }

  /** @throws ProtocolViolationError when the sender was not allowed so much */
  receive(bytes: number): void {
    if (bytes > this.#outstanding) {
      throw new ProtocolViolationError('credit-exceeded', 'the peer sent more than it was granted')
    }
    this.#outstanding -= bytes
    const paid = Math.min(bytes, this.#paid)
    this.#paid -= paid
    const { bandwidth, flow, signal } = this.#init
    bandwidth?.moved(flow, bytes)
    // Granted while there was no limit: where there is one by now, it was too late to hold it back.
    if (bytes > paid) bandwidth?.reserve(flow, bytes - paid, signal)?.catch(() => {})
    if (paid > 0 && this.#owed > 0) void this.#pay()
  }

  /** What arrived has been dealt with. */
  release(bytes: number): void {
    this.#owed += bytes
    this.#grantMore()
  }

  #grantMore(): void {
    if (this.#sliceBytes() < Infinity) void this.#pay()
    else if (this.#owed * 4 >= this.#init.windowBytes) this.#grant(this.#owed)
  }

  #grant(bytes: number): void {
    this.#owed -= bytes
    this.#outstanding += bytes
    this.#init.grant(bytes)
  }

  /** Never rejects. */
  async #pay(): Promise<void> {
    const { bandwidth, flow, signal, isWanted } = this.#init
    if (this.#isPaying || bandwidth === undefined) return
    this.#isPaying = true
    try {
      while (this.#owed > 0 && isWanted() && !signal.aborted) {
        const slice = this.#sliceBytes()
        if (slice === Infinity) {
          this.#grant(this.#owed)
          return
        }
        // Always on to the largest frame, so that a sender which waits for the credit of a whole one gets it.
        if (this.#outstanding >= Math.max(MAX_FRAME_BYTES, GRANTED_SLICES * slice)) return
        const bytes = Math.min(this.#owed, slice)
        await bandwidth.reserve(flow, bytes, signal)
        if (signal.aborted) return
        this.#paid += bytes
        this.#grant(bytes)
      }
    } catch {
      // The stream has ended.
    } finally {
      this.#isPaying = false
    }
  }

  #sliceBytes(): number {
    return this.#init.bandwidth?.sliceBytes(this.#init.flow) ?? Infinity
  }
}
