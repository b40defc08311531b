import type { Stream } from '@libp2p/interface'
import { FrameReader } from '../shared/framing.ts'
import { ProtocolViolationError } from '../shared/violation.ts'

/**
 * The one message that a stream carries in this direction. Begins to listen at once.
 *
 * @throws ProtocolViolationError (more than one, or cut off), the signal's reason, an error where the stream ended before
 */
export function oneFrame(stream: Stream, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let message: Uint8Array | undefined
    const fail = (error: unknown): void => {
      signal.removeEventListener('abort', onAbort)
      reject(error instanceof Error ? error : new Error(String(error)))
    }
    const onAbort = (): void => fail(signal.reason)
    const reader = new FrameReader({
      payloadOffset: () => undefined,
      onMessage: (whole) => {
        if (message !== undefined) throw new ProtocolViolationError('second-message', 'a stream carries one')
        message = whole
      },
      onPayload: () => new Uint8Array(0),
      onPayloadEnd: () => {},
    })
    stream.addEventListener('message', ({ data }) => {
      try {
        reader.push(data)
        // Not before: a second one may follow in the same bytes.
        if (message !== undefined) {
          signal.removeEventListener('abort', onAbort)
          resolve(message)
        }
      } catch (error) {
        fail(error)
        stream.abort(error as Error)
      }
    })
    const onEnd = (): void => {
      // A reset cuts frames too, and is nobody's fault; it has its own event.
      const isWhole = reader.atBoundary || (stream.status !== 'open' && stream.status !== 'closing')
      fail(
        isWhole
          ? new Error('ended before a message')
          : new ProtocolViolationError('truncated-frame', 'cut off'),
      )
    }
    stream.addEventListener('end', onEnd)
    stream.addEventListener('close', () => fail(new Error('closed before a message')))
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    else if (stream.readableEnded) queueMicrotask(onEnd)
  })
}
