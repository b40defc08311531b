import type { Stream } from '@libp2p/interface'
import { IdleWatch } from '../shared/idle.ts'
import { Pacer } from '../shared/pacer.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_INBOUND_BYTES, MAX_INBOUND_BYTES_PER_PEER, STREAM_IDLE_MS } from './limits.ts'
import { type MessagePart, messageParts } from './message.ts'
import { MessageReader } from './message-reader.ts'

export interface InboundInit {
  /** Something came, whole or not. */
  onBytes: () => void
  /** What a peer sent, in its order. */
  onPart: (part: MessagePart) => void
  onViolation: (error: ProtocolViolationError) => void
  /** The peer sent more than there is room for. */
  onOverflow: () => void
}

interface OpenStream {
  stream: Stream
  bytes: number
  /** When the message began that has not ended. */
  sinceMs: number
}

/** Streams on which peers send, and what of it is in memory: not whole yet, or whole and waiting for its turn. */
export class Inbound {
  readonly #peers = new Map<string, Set<OpenStream>>()
  #bytes = 0

  get bufferedBytes(): number {
    return this.#bytes
  }

  /** Reads a stream to its end; never rejects. */
  accept(peer: string, stream: Stream, init: InboundInit): void {
    const open: OpenStream = { stream, bytes: 0, sinceMs: performance.now() }
    const ofPeer = this.#peers.get(peer) ?? new Set()
    ofPeer.add(open)
    this.#peers.set(peer, ofPeer)

    const reader = new MessageReader()
    const pacer = new Pacer()
    const waiting: Uint8Array[] = []
    let partialBytes = 0
    let isHandling = false
    let isClosed = false
    const count = (bytes: number): void => {
      open.bytes += bytes
      this.#bytes += bytes
    }
    const idle = new IdleWatch({
      timeoutMs: STREAM_IDLE_MS,
      isWaiting: () => !isHandling,
      onIdle: () => stream.abort(new Error('nothing came')),
    })
    const forgetIfDone = (): void => {
      if (!isClosed || isHandling) return
      ofPeer.delete(open)
      if (ofPeer.size === 0 && this.#peers.get(peer) === ofPeer) this.#peers.delete(peer)
    }
    const fail = (error: unknown): void => {
      if (error instanceof ProtocolViolationError) init.onViolation(error)
      for (const message of waiting.splice(0)) count(-message.length)
      stream.abort(error instanceof Error ? error : new Error(String(error)))
    }
    const handle = async (): Promise<void> => {
      if (isHandling) return
      isHandling = true
      try {
        for (let message = waiting.shift(); message !== undefined; message = waiting.shift()) {
          try {
            for (const part of messageParts(message)) {
              init.onPart(part)
              const turn = pacer.breathe()
              if (turn !== undefined) await turn
            }
          } finally {
            count(-message.length)
          }
        }
      } catch (error) {
        fail(error)
      } finally {
        isHandling = false
        forgetIfDone()
      }
    }

    stream.addEventListener('message', ({ data }) => {
      idle.touch()
      init.onBytes()
      try {
        if (partialBytes === 0) open.sinceMs = performance.now()
        for (const message of reader.push(data)) {
          waiting.push(message)
          count(message.length)
        }
        count(reader.bufferedBytes - partialBytes)
        partialBytes = reader.bufferedBytes
        void handle()
        if (!this.#makeRoom(ofPeer)) init.onOverflow()
      } catch (error) {
        fail(error)
      }
    })
    stream.addEventListener('close', () => {
      idle.stop()
      isClosed = true
      // What came whole before is dealt with all the same.
      count(-partialBytes)
      forgetIfDone()
    })
    // Nothing is said on a stream of the other side's: with this it ends when that side ends it.
    stream.close().catch(() => {})
  }

  stop(): void {
    for (const ofPeer of this.#peers.values()) {
      for (const { stream } of ofPeer) stream.abort(new Error('the node stops'))
    }
  }

  /** False where a peer had more in memory than one may; the message that it began first is given up, then. */
  #makeRoom(ofPeer: Set<OpenStream>): boolean {
    let bytes = 0
    for (const open of ofPeer) bytes += open.bytes
    const isWithin = bytes <= MAX_INBOUND_BYTES_PER_PEER
    if (!isWithin) oldest(ofPeer)?.stream.abort(new Error('too much at once'))
    else if (this.#bytes > MAX_INBOUND_BYTES) {
      const all = [...this.#peers.values()].flatMap((streams) => [...streams])
      oldest(all)?.stream.abort(new Error('too much at once, of all peers'))
    }
    return isWithin
  }
}

function oldest(streams: Iterable<OpenStream>): OpenStream | undefined {
  let first: OpenStream | undefined
  for (const open of streams) {
    if (open.bytes > 0 && open.sinceMs < (first?.sinceMs ?? Infinity)) first = open
  }
  return first
}
