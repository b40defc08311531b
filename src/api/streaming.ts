import type { ServerResponse } from 'node:http'
import { P2pnodeError } from '../../protocols/shared/errors.ts'

export type Chunk = Uint8Array | string

/** An answer whose body is produced while it is sent. */
export class StreamAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | number>>
  readonly chunks: AsyncIterable<Chunk> | Iterable<Chunk>

  constructor(
    status: number,
    headers: Record<string, string | number>,
    chunks: AsyncIterable<Chunk> | Iterable<Chunk>,
  ) {
    this.status = status
    this.headers = headers
    this.chunks = chunks
  }
}

/** An answer that keeps the response for itself until it is over: an event stream. */
export class HeldAnswer {
  readonly hold: (response: ServerResponse) => void
  constructor(hold: (response: ServerResponse) => void) {
    this.hold = hold
  }
}

/** One JSON text a line. */
export async function* ndjson<T>(
  items: AsyncIterable<T> | Iterable<T>,
  present: (item: T) => unknown,
): AsyncGenerator<string> {
  for await (const item of items) {
    yield `${JSON.stringify(present(item))}\n`
  }
}

export interface SendOptions {
  /** Aborts when the client is gone. */
  signal: AbortSignal
  /** Called once, right before the head is written: from here on no error can be told by a status. */
  onCommitted(): void
  /** Only the head is sent: the answer to HEAD, or 304. */
  bodyless?: boolean
  /** No byte taken by the client for so long ends the response. */
  stallTimeoutMs: number
}

/**
 * Sends a stream under back-pressure. The head waits for the first chunk, so an error before it is thrown to the
 * caller and becomes a proper status. An error after it destroys the connection: neither a chunked body nor one of a
 * stated length can then be taken for whole.
 *
 * @throws whatever the source throws; the response is destroyed if its head was sent
 */
export async function sendStream(
  response: ServerResponse,
  answer: StreamAnswer,
  options: SendOptions,
): Promise<void> {
  const { signal } = options
  if (options.bodyless === true) {
    options.onCommitted()
    response.writeHead(answer.status, answer.headers).end()
    return
  }
  const iterator = iteratorOf(answer.chunks)
  const announced = answer.headers['content-length']
  let sentBytes = 0
  let finished = false
  try {
    let step = await untilAborted(iterator.next(), signal)
    options.onCommitted()
    response.writeHead(answer.status, answer.headers)
    while (step.done !== true) {
      sentBytes += typeof step.value === 'string' ? Buffer.byteLength(step.value) : step.value.byteLength
      if (!response.write(step.value)) {
        await drained(response, signal, options.stallTimeoutMs)
      }
      step = await untilAborted(iterator.next(), signal)
    }
    if (announced !== undefined && Number(announced) !== sentBytes) {
      throw new P2pnodeError(
        'ERR_STREAM_SHORT',
        'failed',
        'The source gave another number of bytes than announced',
        {
          details: { announced: Number(announced), sentBytes },
        },
      )
    }
    finished = true
    response.end()
  } finally {
    if (!finished) {
      if (response.headersSent) response.destroy()
      // Not awaited: a source that hangs in its last read must not keep the request's bookkeeping.
      void Promise.resolve(iterator.return?.()).catch(() => undefined)
    }
  }
}

function iteratorOf(chunks: AsyncIterable<Chunk> | Iterable<Chunk>): AsyncIterator<Chunk> | Iterator<Chunk> {
  return Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]()
}

/** Resolves when the client took what was written; rejects when it stalls or goes away. */
function drained(response: ServerResponse, signal: AbortSignal, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      clearTimeout(timer)
      response.off('drain', onDrain)
      signal.removeEventListener('abort', onAbort)
      if (error === undefined) resolve()
      else reject(error)
    }
    const onDrain = (): void => settle()
    const onAbort = (): void => settle(clientGone())
    const timer = setTimeout(
      () =>
        settle(
          new P2pnodeError('ERR_CLIENT_STALLED', 'timeout', `The client took no byte for ${timeoutMs} ms`),
        ),
      timeoutMs,
    )
    response.on('drain', onDrain)
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
  })
}

/** A source that ignores its signal still lets the request end. */
function untilAborted<T>(value: Promise<T> | T, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(clientGone())
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    Promise.resolve(value)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort))
  })
}

export const clientGone = (): P2pnodeError =>
  new P2pnodeError('ERR_CLIENT_GONE', 'cancelled', 'The client closed the connection')
