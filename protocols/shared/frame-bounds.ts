import { readVarint, varintLength } from './varint.ts'
import { ProtocolViolationError } from './violation.ts'

export interface FrameBounds {
  maxDataLength: number
  maxBufferSize: number
  lengthDecoder: (bytes: { byteLength: number; subarray(): Uint8Array }) => number
}

/**
 * For `lpStream` of @libp2p/utils, which by itself reads on for as long as a length does not end.
 *
 * @param bufferedFrames of the greatest size, that may have come and not been read yet
 */
export function frameBounds(maxFrameBytes: number, bufferedFrames: number): FrameBounds {
  const maxLengthBytes = varintLength(maxFrameBytes)
  return {
    maxDataLength: maxFrameBytes,
    maxBufferSize: bufferedFrames * maxFrameBytes,
    lengthDecoder(bytes) {
      const read = readVarint(bytes.subarray(), 0)
      if (read !== undefined) return read.value
      if (bytes.byteLength >= maxLengthBytes)
        throw new ProtocolViolationError('oversize-frame', 'a length that does not end, or is padded')
      // Understood as: there is more to come.
      throw new RangeError('a part of a length')
    },
  }
}
