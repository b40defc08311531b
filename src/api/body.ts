import type { IncomingMessage } from 'node:http'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import { bodyTooLarge, uploadAborted } from './errors.ts'
import { MAX_UPLOAD_PART_BYTES } from './limits.ts'

/** @throws ERR_BODY_TOO_LARGE where the client itself says that its part is too large, before a byte is read */
export function checkAnnouncedLength(request: IncomingMessage, limitBytes = MAX_UPLOAD_PART_BYTES): void {
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) throw bodyTooLarge(limitBytes)
}

/**
 * The raw body as it arrives, read only as fast as it is taken. The connection stays usable for the answer when the
 * reader stops early.
 *
 * @throws ERR_BODY_TOO_LARGE, ERR_UPLOAD_IDLE when no byte comes although one is wanted, ERR_UPLOAD_ABORTED
 */
export async function* bodyBytes(
  request: IncomingMessage,
  options: { limitBytes?: number; idleTimeoutMs: number },
): AsyncGenerator<Uint8Array> {
  const { limitBytes = MAX_UPLOAD_PART_BYTES, idleTimeoutMs } = options
  const iterator = request.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]()
  let readBytes = 0
  try {
    for (;;) {
      const step = await within(iterator.next(), idleTimeoutMs)
      if (step.done === true) return
      const chunk = step.value as Uint8Array
      readBytes += chunk.byteLength
      if (readBytes > limitBytes) throw bodyTooLarge(limitBytes)
      yield chunk
    }
  } catch (error) {
    throw error instanceof P2pnodeError ? error : uploadAborted(error)
  } finally {
    // Not awaited: behind a read that never ends it would wait for ever.
    void iterator.return?.().catch(() => undefined)
  }
}

/** A body that fits into memory. @throws ERR_BODY_TOO_LARGE, and what reading it throws */
export async function wholeBody(bytes: AsyncIterable<Uint8Array>, limitBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let sizeBytes = 0
  for await (const part of bytes) {
    sizeBytes += part.byteLength
    if (sizeBytes > limitBytes) throw bodyTooLarge(limitBytes)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function within<T>(read: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () =>
        reject(
          new P2pnodeError('ERR_UPLOAD_IDLE', 'timeout', `No byte of the part came for ${timeoutMs} ms`),
        ),
      timeoutMs,
    )
    read.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
