import { Uint8ArrayList } from 'uint8arraylist'
import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_MESSAGE_BYTES } from './limits.ts'

/** Bytes of a length prefix: 4 MiB need four. */
const MAX_PREFIX_BYTES = 4

/**
 * Cuts what a stream delivers into messages: an unsigned varint with the length, then so many bytes. No room is made for more than
 * has come, whatever a length says.
 */
export class MessageReader {
  readonly #buffered = new Uint8ArrayList()

  /** Bytes of a message that has begun and not ended. */
  get bufferedBytes(): number {
    return this.#buffered.byteLength
  }

  /** The messages that are whole with these bytes. @throws ProtocolViolationError `oversize-message`, `malformed-message` */
  *push(data: Uint8Array | Uint8ArrayList): Generator<Uint8Array> {
    this.#buffered.append(data)
    for (;;) {
      const length = this.#length()
      if (length === undefined || this.#buffered.byteLength < length.prefixBytes + length.bytes) return
      const message = this.#buffered.subarray(length.prefixBytes, length.prefixBytes + length.bytes)
      this.#buffered.consume(length.prefixBytes + length.bytes)
      if (message.length > 0) yield message
    }
  }

  #length(): { bytes: number; prefixBytes: number } | undefined {
    let bytes = 0
    for (let at = 0; at < Math.min(this.#buffered.byteLength, MAX_PREFIX_BYTES); at += 1) {
      const byte = this.#buffered.get(at)
      bytes += (byte & 0x7f) * 2 ** (7 * at)
      if (byte >= 0x80) continue
      if (bytes > MAX_MESSAGE_BYTES)
        throw new ProtocolViolationError('oversize-message', `a message of ${bytes} bytes`)
      return { bytes, prefixBytes: at + 1 }
    }
    if (this.#buffered.byteLength >= MAX_PREFIX_BYTES)
      throw new ProtocolViolationError('oversize-message', 'a length of more bytes than any message needs')
    return undefined
  }
}
