import type { Bandwidth, Flow } from '../../../protocols/shared/bandwidth.ts'
import type { Chunk } from '../streaming.ts'
import { WRITE_BYTES } from './limits.ts'

/**
 * The same bytes in pieces that a slow client can take within its time, each once the bandwidth has room for it. Small
 * texts are let through whole.
 */
export async function* paced(
  chunks: AsyncIterable<Chunk> | Iterable<Chunk>,
  options: { bandwidth: Bandwidth; flow: Flow; signal: AbortSignal; onSent: (bytes: number) => void },
): AsyncGenerator<Chunk> {
  const { bandwidth, flow, signal, onSent } = options
  for await (const chunk of chunks) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    for (let at = 0; at < bytes.byteLength; ) {
      const piece = bytes.subarray(at, at + Math.min(WRITE_BYTES, bandwidth.sliceBytes(flow)))
      const wait = bandwidth.take(flow, piece.byteLength, signal)
      if (wait !== undefined) await wait
      yield piece
      at += piece.byteLength
      onSent(piece.byteLength)
    }
  }
}
