import type { Flow } from '../shared/bandwidth.ts'
import { CreditAccount } from '../shared/credit.ts'
import { Pacer } from '../shared/pacer.ts'
import { Status } from '../shared/status.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { Wakeup } from '../shared/wakeup.ts'
import { encodePieceHeader } from './data-frame.ts'
import { slabKeyOf } from './format/slab-id.ts'
import { FRAME_COST_BYTES, MIN_PART_BYTES } from './limits.ts'
import { encode, type FetchMessage, type FromClient } from './messages.ts'
import { nextPartBytes } from './parts.ts'
import { type Session, type SessionInit, statusOf } from './session.ts'

/** A piece that is being read, or was read and waits to be sent. */
interface Step {
  segment: number
  /** Or the status with which the fetch ends, where it cannot be had. */
  bytes: Promise<Uint8Array | number>
  isRead: boolean
}

/** One fetch under way. */
class Outgoing {
  readonly credit = new CreditAccount()
  readonly steps: Step[] = []
  readonly reader = new Wakeup()
  readonly sender = new Wakeup()
  /** Nothing more is to be read: all is, or something is not held. */
  isEnding = false
}

/**
 * The fetches of one stream, one after another. Two loops share the work: one reads pieces, up to `readAheadPieces`
 * ahead, the other sends them as credit and the stream allow. What is in memory is bounded by slots that all
 * streams share.
 */
export class FetchSession implements Session {
  readonly #init: SessionInit
  readonly #flow: Flow
  #outgoing: Outgoing | undefined
  #clientHasEnded = false
  /** The sender waits for credit, or for the stream to take more. */
  #waitsForClient = false

  constructor(init: SessionInit) {
    this.#init = init
    this.#flow = { direction: 'out', peer: init.stream.peer, protocol: 'chunk' }
    const { stream, limits } = init
    stream.watch({
      timeoutMs: limits.unusedStreamMs,
      reason: 'unused',
      isWaiting: () => this.#outgoing === undefined,
    })
    stream.watch({
      timeoutMs: limits.clientIdleMs,
      reason: 'the client takes nothing',
      isWaiting: () => this.#waitsForClient,
    })
  }

  onMessage(message: FromClient): void {
    if (message.kind === 'credit') {
      // What was granted when the last piece was under way already is nothing to a fetch that has ended.
      this.#outgoing?.credit.add(message.bytes)
      return
    }
    if (message.kind !== 'fetch' || this.#outgoing !== undefined) {
      throw new ProtocolViolationError('wrong-order', 'a message that no fetch may have here')
    }
    const outgoing = new Outgoing()
    outgoing.credit.add(message.creditBytes)
    this.#outgoing = outgoing
    void this.#run(message, outgoing)
  }

  onData(): never {
    throw new ProtocolViolationError('wrong-order', 'data in a fetch')
  }

  onDataEnd(): void {}

  onClientEnd(): void {
    this.#clientHasEnded = true
    if (this.#outgoing === undefined) void this.#init.stream.close()
  }

  /** Never rejects. */
  async #run(fetch: FetchMessage, outgoing: Outgoing): Promise<void> {
    const { stream, slots } = this.#init
    let status = this.#refusalOf(fetch)
    try {
      if (status === Status.ok) {
        ;[, status] = await Promise.all([this.#read(fetch, outgoing), this.#send(outgoing)])
      }
    } catch (error) {
      stream.fail(error)
      return
    } finally {
      for (let left = outgoing.steps.length; left > 0; left--) slots.release(stream.peer)
      outgoing.steps.length = 0
    }
    this.#outgoing = undefined
    stream.post(encode.fetchDone(status))
    if (this.#clientHasEnded) void stream.close()
  }

  #refusalOf({ slab, column }: FetchMessage): number {
    const { trust, stream, holder } = this.#init
    if (!trust.decide(stream.peer, 'serve-chunk', { slab: slabKeyOf(slab) }).allowed) return Status.refused
    try {
      return holder.have([slab]).some((held) => held.column === column) ? Status.ok : Status.notFound
    } catch (error) {
      return statusOf(error, this.#init)
    }
  }

  /** Starts reading as there is room, and queues what it reads for the sender. */
  async #read({ slab, segments }: FetchMessage, outgoing: Outgoing): Promise<void> {
    const { slots, stream, limits } = this.#init
    for (const segment of segments) {
      while (outgoing.steps.length >= limits.readAheadPieces) await outgoing.reader.wait(stream.signal)
      if (outgoing.isEnding) return
      await slots.acquire(stream.peer, stream.signal)
      if (!stream.isOpen) {
        slots.release(stream.peer)
        return
      }
      const step: Step = { segment, bytes: this.#piece(slab, segment), isRead: false }
      outgoing.steps.push(step)
      void step.bytes.then(() => {
        step.isRead = true
      })
      outgoing.sender.notify()
    }
    outgoing.isEnding = true
    outgoing.sender.notify()
  }

  /** Never rejects. */
  async #piece(slab: Uint8Array, segment: number): Promise<Uint8Array | number> {
    const { holder, stream } = this.#init
    try {
      return (await holder.piece(slab, segment, { signal: stream.signal })) ?? Status.notFound
    } catch (error) {
      return statusOf(error, this.#init)
    }
  }

  async #send(outgoing: Outgoing): Promise<number> {
    const { stream, slots } = this.#init
    const pacer = new Pacer()
    for (;;) {
      const step = outgoing.steps[0]
      if (step === undefined) {
        if (outgoing.isEnding) return Status.ok
        stream.writer.flushSoon()
        await outgoing.sender.wait(stream.signal)
        continue
      }
      await pacer.breathe()
      if (!step.isRead) stream.writer.flushSoon()
      const bytes = await step.bytes
      stream.signal.throwIfAborted()
      if (typeof bytes === 'number') {
        outgoing.isEnding = true
        outgoing.reader.notify()
        return bytes
      }
      await this.#sendPiece(outgoing, step.segment, bytes)
      outgoing.steps.shift()
      slots.release(stream.peer)
      outgoing.reader.notify()
    }
  }

  async #sendPiece(outgoing: Outgoing, segment: number, bytes: Uint8Array): Promise<void> {
    const { stream, bandwidth } = this.#init
    let offset = 0
    while (offset < bytes.length) {
      const data = bytes.subarray(offset, offset + (await this.#takeCredit(outgoing, bytes.length - offset)))
      const wait = bandwidth?.take(this.#flow, data.length + FRAME_COST_BYTES, stream.signal)
      if (wait !== undefined) {
        stream.writer.flushSoon()
        await wait
      }
      const header = encodePieceHeader({ segment, offset, totalBytes: bytes.length }, data.length)
      this.#waitsForClient = true
      try {
        await stream.writer.write(header, data, stream.signal)
      } finally {
        this.#waitsForClient = false
      }
      offset += data.length
    }
    this.#init.onSent(bytes.length)
  }

  /** Credit for the next part of what is left of a piece, a smaller one where the client grants little at a time. */
  async #takeCredit(outgoing: Outgoing, leftBytes: number): Promise<number> {
    const { stream, bandwidth, limits } = this.#init
    const sliceBytes = bandwidth?.sliceBytes(this.#flow) ?? Infinity
    const cost = nextPartBytes(leftBytes, Math.min(limits.frameDataBytes, sliceBytes)) + FRAME_COST_BYTES
    if (outgoing.credit.available < cost) stream.writer.flushSoon()
    const leastCost = Math.min(leftBytes, MIN_PART_BYTES) + FRAME_COST_BYTES
    this.#waitsForClient = true
    try {
      return (await outgoing.credit.takeUpTo(cost, leastCost, stream.signal)) - FRAME_COST_BYTES
    } finally {
      this.#waitsForClient = false
    }
  }
}
