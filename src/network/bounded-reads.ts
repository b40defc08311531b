import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import { LoopTurn } from '../../protocols/shared/pacer.ts'
import { handlingStreams } from './handled-streams.ts'

/** Bytes that wait for the reader before the other side is held back, and at which it may go on. */
export const READS_HIGH_BYTES = 256 * 1024
export const READS_LOW_BYTES = 64 * 1024

/**
 * Handed over at once: what a stream took in while it was paused comes as one chunk of a megabyte, which may be thousands of messages, each
 * with a signature to check.
 */
const PART_BYTES = 8 * 1024

type Chunk = StreamMessageEvent['data']

/**
 * Reads a stream as `for await (const chunk of stream)` does, but holds the other side back while the reader is busy. libp2p's own
 * iterator takes in whatever arrives, so that a peer that sends faster than its messages are handled fills the memory.
 *
 * What waits is handed over in small parts, and others get their turn in between: a reader whose waits all resolve at once would hold the
 * event loop for as long as something is there.
 *
 * At most `READS_HIGH_BYTES` and one yamux window wait here, and another window below in the stream.
 */
export async function* boundedReads(stream: Stream, turn = new LoopTurn()): AsyncGenerator<Chunk> {
  const waiting: Chunk[] = []
  let waitingBytes = 0
  let isEnded = stream.readStatus !== 'readable' && stream.readStatus !== 'paused'
  let failure: Error | undefined
  let isResuming = false
  let wake = (): void => {}

  function onMessage({ data }: StreamMessageEvent): void {
    waiting.push(data)
    waitingBytes += data.byteLength
    // A pause within resume() is undone by what resume() does last.
    if (waitingBytes >= READS_HIGH_BYTES && !isResuming && stream.readStatus === 'readable') {
      stream.pause()
    }
    wake()
  }
  function onClose({ error }: StreamCloseEvent): void {
    isEnded = true
    failure = error
    wake()
  }
  function onEnd(): void {
    isEnded = true
    wake()
  }
  function resumeIfLow(): void {
    if (stream.readStatus !== 'paused' || waitingBytes > READS_LOW_BYTES) {
      return
    }
    isResuming = true
    stream.resume()
    isResuming = false
    if (waitingBytes >= READS_HIGH_BYTES && (stream.readStatus as string) === 'readable') {
      stream.pause()
    }
  }

  stream.addEventListener('message', onMessage)
  stream.addEventListener('close', onClose)
  stream.addEventListener('end', onEnd)
  try {
    while (true) {
      const chunk = waiting.shift()
      if (chunk !== undefined) {
        waitingBytes -= chunk.byteLength
        resumeIfLow()
        yield* inParts(chunk, turn)
        continue
      }
      if (isEnded) {
        if (failure !== undefined) {
          throw failure
        }
        return
      }
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  } finally {
    stream.removeEventListener('message', onMessage)
    stream.removeEventListener('close', onClose)
    stream.removeEventListener('end', onEnd)
  }
}

async function* inParts(chunk: Chunk, turn: LoopTurn): AsyncGenerator<Chunk> {
  for (let at = 0; at < chunk.byteLength; at += PART_BYTES) {
    while (turn.isLong()) await nextTurn()
    const end = Math.min(at + PART_BYTES, chunk.byteLength)
    yield chunk instanceof Uint8Array ? chunk.subarray(at, end) : chunk.sublist(at, end)
  }
}

/**
 * The stream as something to iterate over, and no more: what has `addEventListener` libp2p's own `pipe` takes for a stream, and reads all that
 * comes into memory.
 */
function iterable(stream: Stream, turn: LoopTurn): Stream {
  return new Proxy(stream, {
    get(target, key) {
      if (key === Symbol.asyncIterator) return () => boundedReads(target, turn)
      if (key === 'addEventListener') return undefined
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** A registrar whose inbound streams are read with a bound by whoever iterates over them. */
export function withBoundedReads(registrar: Registrar): Registrar {
  // One for all of them: ten streams that each take their time would take ten times as much of a turn.
  const turn = new LoopTurn()
  return handlingStreams(
    registrar,
    (handler) => (stream, connection) => handler(iterable(stream, turn), connection),
  )
}
