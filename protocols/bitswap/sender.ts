import { setTimeout as sleep } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import type { Bandwidth, Flow } from '../shared/bandwidth.ts'
import { IdleWatch } from '../shared/idle.ts'
import { Wakeup } from '../shared/wakeup.ts'
import { StreamWriter } from '../shared/writer.ts'
import { SEND_AGAIN_MS, SEND_STALL_MS, STREAM_LINGER_MS } from './limits.ts'
import type { EncodedMessage } from './message.ts'

export interface Outgoing {
  message: EncodedMessage
  /** The message is with the stream, or it is not and will not be. */
  settle(isSent: boolean): void
}

export interface SenderInit {
  /** What is to be sent next, or undefined where there is nothing; asked again after `wake`. */
  next: (signal: AbortSignal) => Promise<Outgoing | undefined>
  open: (signal: AbortSignal) => Promise<Stream>
  /** Nothing gets through, not on a second stream either; or the peer took nothing for too long. */
  onFailure: (error: Error, isStalled: boolean) => void
  bandwidth: Bandwidth | undefined
  flow: Flow
  signal: AbortSignal
}

/**
 * Sends one peer messages, one at a time: the next is made when the one before is with the stream, so that no more than one is in
 * memory. A stream is opened when there is something to send, and closed when nothing has followed for a while.
 */
export class Sender {
  readonly #init: SenderInit
  readonly #wakeup = new Wakeup()
  #isRunning = false
  /** Woken since the last question for something to send. */
  #isDue = false

  constructor(init: SenderInit) {
    this.#init = init
  }

  /** There is something to send, from the next turn of the event loop on: what comes until then goes with it. */
  wake(): void {
    if (this.#init.signal.aborted) return
    this.#isDue = true
    if (this.#isRunning) this.#wakeup.notify()
    else this.#begin()
  }

  #begin(): void {
    this.#isRunning = true
    setImmediate(() => void this.#run())
  }

  async #run(): Promise<void> {
    const { next, onFailure, signal } = this.#init
    let channel: Channel | undefined
    let failures = 0
    try {
      for (;;) {
        this.#isDue = false
        const outgoing = await next(signal)
        if (outgoing === undefined) {
          if (await this.#isWoken(channel)) continue
          break
        }
        try {
          channel ??= new Channel(await this.#init.open(signal), this.#init)
          await channel.send(outgoing.message)
          outgoing.settle(true)
          failures = 0
        } catch (error) {
          outgoing.settle(false)
          const isStalled = channel?.isStalled === true
          channel?.abort(error as Error)
          channel = undefined
          failures += 1
          // The other side may have ended an old stream: a second one tells.
          if (failures > 1 || isStalled || signal.aborted) {
            onFailure(error as Error, isStalled)
            break
          }
          await sleep(SEND_AGAIN_MS, undefined, { signal, ref: false })
        }
      }
    } catch (error) {
      // Nothing was sent: what makes the messages has failed, or the sender is stopped.
      if (!signal.aborted) onFailure(error as Error, false)
    }
    if (signal.aborted) channel?.abort(signal.reason as Error)
    else channel?.close()
    this.#isRunning = false
    // Woken between the end of the wait and here.
    if (this.#isDue && !signal.aborted) this.#begin()
  }

  /** Whether there is something to send again before the stream has been of no use for too long. */
  async #isWoken(channel: Channel | undefined): Promise<boolean> {
    const { signal } = this.#init
    const patience = channel === undefined ? 0 : STREAM_LINGER_MS
    const timer = new AbortController()
    const timeout = setTimeout(() => timer.abort(), patience)
    timeout.unref()
    try {
      await this.#wakeup.wait(AbortSignal.any([signal, timer.signal]))
      return true
    } catch {
      return false
    } finally {
      clearTimeout(timeout)
    }
  }
}

/** One stream, and how what is sent on it keeps to the bandwidth. */
class Channel {
  readonly #stream: Stream
  readonly #writer: StreamWriter
  readonly #init: SenderInit
  readonly #idle: IdleWatch
  /** Waits for the stream: not for this node's own bandwidth. */
  #isWaiting = false
  isStalled = false

  constructor(stream: Stream, init: SenderInit) {
    this.#stream = stream
    this.#init = init
    this.#idle = new IdleWatch({
      timeoutMs: SEND_STALL_MS,
      isWaiting: () => this.#isWaiting,
      onIdle: () => {
        this.isStalled = true
        stream.abort(new Error('the peer takes nothing'))
      },
    })
    this.#writer = new StreamWriter(stream, () => this.#idle.touch())
    stream.addEventListener('close', () => this.#idle.stop())
    // Nothing is said on it by the other side.
    stream.closeRead?.().catch(() => {})
  }

  /** Resolves when all of it is with the stream. */
  async send({ parts }: EncodedMessage): Promise<void> {
    const { bandwidth, flow, signal } = this.#init
    this.#assertOpen()
    for (const part of parts) {
      for (let at = 0; at < part.length; ) {
        const bytes = Math.min(part.length - at, bandwidth?.sliceBytes(flow) ?? Infinity)
        const turn = bandwidth?.take(flow, bytes, signal)
        if (turn !== undefined) {
          this.#writer.flushSoon()
          await turn
        }
        await this.#waiting(this.#writer.write(part.subarray(at, at + bytes), undefined, signal))
        at += bytes
      }
    }
    await this.#waiting(this.#writer.end())
    this.#assertOpen()
  }

  close(): void {
    this.#idle.stop()
    this.#stream.close().catch((error: Error) => this.#stream.abort(error))
  }

  abort(error: Error): void {
    this.#idle.stop()
    this.#stream.abort(error)
  }

  async #waiting(written: Promise<void>): Promise<void> {
    this.#isWaiting = true
    this.#idle.touch()
    try {
      await written
    } finally {
      this.#isWaiting = false
    }
  }

  #assertOpen(): void {
    const { status, writeStatus } = this.#stream
    if (status !== 'open' || writeStatus !== 'writable') throw new Error('the stream is closed')
  }
}
