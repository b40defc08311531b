import type { Uint8ArrayList } from 'uint8arraylist'
import {
  MAX_CONTROL_MESSAGE_BYTES,
  MAX_FRAME_BYTES,
  MAX_FRAME_HEADER_BYTES,
  MAX_LENGTH_PREFIX_BYTES,
} from './limits.ts'
import { varintLength, writeVarint } from './varint.ts'
import { ProtocolViolationError } from './violation.ts'

/**
 * What a reader of frames does with them. A frame is either a control message, gathered whole, or a header with a
 * payload, which is written straight to where the owner wants it, so that large data is copied once.
 *
 * Every method may throw `ProtocolViolationError`; `FrameReader.push` lets it through.
 */
export interface FrameHandlers {
  /**
   * Asked with a frame's first bytes (all of it, or at least MAX_FRAME_HEADER_BYTES): where its payload starts, or
   * undefined for a control message.
   */
  payloadOffset(head: Uint8Array, frameBytes: number): number | undefined
  /** A whole control message. The array belongs to the receiver of the call. */
  onMessage(message: Uint8Array): void
  /** A payload of so many bytes follows this header; returns where to write it. The header is valid only during the call. */
  onPayload(header: Uint8Array, payloadBytes: number): Uint8Array
  onPayloadEnd(): void
}

/** Cuts what a stream delivers into frames: an unsigned varint with the length, then so many bytes. */
export class FrameReader {
  readonly #handlers: FrameHandlers
  readonly #head = new Uint8Array(MAX_FRAME_HEADER_BYTES)
  #state: 'prefix' | 'head' | 'body' = 'prefix'
  #prefixBytes = 0
  #frameBytes = 0
  /** What is being filled: the head, a control message, or a payload. */
  #target: Uint8Array = this.#head
  #filled = 0
  #isPayload = false

  constructor(handlers: FrameHandlers) {
    this.#handlers = handlers
  }

  /** False while a frame has begun and not ended: a stream that closes now was cut off. */
  get atBoundary(): boolean {
    return this.#state === 'prefix' && this.#prefixBytes === 0
  }

  /** @throws ProtocolViolationError and whatever the handlers throw; the reader is of no use afterwards. */
  push(data: Uint8Array | Uint8ArrayList): void {
    if (data instanceof Uint8Array) {
      this.#pushBytes(data)
      return
    }
    for (const bytes of data) this.#pushBytes(bytes)
  }

  #pushBytes(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      if (this.#state === 'prefix') {
        this.#readPrefixByte(bytes[at++]!)
        continue
      }
      const count = Math.min(this.#target.length - this.#filled, bytes.length - at)
      this.#target.set(count === bytes.length ? bytes : bytes.subarray(at, at + count), this.#filled)
      this.#filled += count
      at += count
      if (this.#filled === this.#target.length) this.#targetFull()
    }
  }

  #readPrefixByte(byte: number): void {
    this.#frameBytes += (byte & 0x7f) * 2 ** (7 * this.#prefixBytes)
    this.#prefixBytes += 1
    if (byte >= 0x80) {
      if (this.#prefixBytes === MAX_LENGTH_PREFIX_BYTES) throw oversize()
      return
    }
    if (byte === 0) throw new ProtocolViolationError('empty-frame', 'a frame of no bytes, or a padded length')
    if (this.#frameBytes > MAX_FRAME_BYTES) throw oversize()
    this.#state = 'head'
    this.#target = this.#head.subarray(0, Math.min(this.#frameBytes, MAX_FRAME_HEADER_BYTES))
    this.#filled = 0
  }

  #targetFull(): void {
    if (this.#state === 'head') {
      this.#classify(this.#target)
      return
    }
    const done = this.#target
    const isPayload = this.#isPayload
    this.#endFrame()
    if (isPayload) this.#handlers.onPayloadEnd()
    else this.#handlers.onMessage(done)
  }

  #classify(head: Uint8Array): void {
    const offset = this.#handlers.payloadOffset(head, this.#frameBytes)
    let begun: Uint8Array
    if (offset === undefined) {
      if (this.#frameBytes > MAX_CONTROL_MESSAGE_BYTES) throw oversize()
      this.#isPayload = false
      this.#target = new Uint8Array(this.#frameBytes)
      begun = head
    } else {
      this.#isPayload = true
      this.#target = this.#handlers.onPayload(head.subarray(0, offset), this.#frameBytes - offset)
      begun = head.subarray(offset)
    }
    this.#state = 'body'
    this.#target.set(begun)
    this.#filled = begun.length
    if (this.#filled === this.#target.length) this.#targetFull()
  }

  #endFrame(): void {
    this.#state = 'prefix'
    this.#prefixBytes = 0
    this.#frameBytes = 0
    this.#target = this.#head
    this.#filled = 0
  }
}

function oversize(): ProtocolViolationError {
  return new ProtocolViolationError('oversize-frame', 'a frame longer than the protocol allows')
}

/** A control message with its length before it. */
export function frame(message: Uint8Array): Uint8Array {
  const prefixBytes = varintLength(message.length)
  const framed = new Uint8Array(prefixBytes + message.length)
  writeVarint(framed, 0, message.length)
  framed.set(message, prefixBytes)
  return framed
}
