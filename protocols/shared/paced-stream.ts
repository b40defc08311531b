import type { Stream, StreamMessageEvent } from '@libp2p/interface'
import type { Bandwidth, Flow } from './bandwidth.ts'

/** For streams of other people's protocols, which know nothing of bandwidth. */

/** A sender that asked for a slice and got none in this time has a stream that nobody takes from. */
const DRAIN_TIMEOUT_MS = 60_000

/**
 * A stream whose `send` keeps to the bandwidth: what may not move yet is kept, `send` answers false as for a full stream,
 * and `onDrain` resolves when all of it is with the stream. For writers that wait for `onDrain` before they send more, as
 * libp2p asks of them; one that does not loses nothing, but has its bytes kept here.
 */
export function pacedWrites(stream: Stream, flow: Flow, bandwidth: Bandwidth, signal: AbortSignal): Stream {
  let sending: Promise<void> | undefined

  async function sendSlices(bytes: Uint8Array): Promise<void> {
    let offset = 0
    while (offset < bytes.length) {
      const sliceBytes = Math.min(bytes.length - offset, bandwidth.sliceBytes(flow))
      await bandwidth.take(flow, sliceBytes, signal)
      if (stream.status !== 'open') throw new Error('the stream is closed')
      stream.send(bytes.subarray(offset, offset + sliceBytes))
      offset += sliceBytes
      await drained(stream, signal)
    }
  }

  const send: Stream['send'] = (data) => {
    if (sending === undefined && bandwidth.sliceBytes(flow) === Infinity) {
      void bandwidth.take(flow, data.byteLength, signal)
      return stream.send(data)
    }
    const bytes = data instanceof Uint8Array ? data : data.subarray()
    const before = sending ?? Promise.resolve()
    const mine = before.then(() => sendSlices(bytes))
    mine.catch((error: Error) => stream.abort(error))
    sending = mine
    return false
  }
  const settled = async (): Promise<void> => {
    const last = sending
    await last
    if (last === sending) sending = undefined
  }

  return new Proxy(stream, {
    get(target, key) {
      if (key === 'send') return send
      if (key === 'onDrain') {
        return async (options?: Parameters<Stream['onDrain']>[0]) => {
          if (sending !== undefined) await settled()
          else if (target.writableNeedsDrain) await target.onDrain(options)
        }
      }
      if (key === 'close') {
        return async (options?: Parameters<Stream['close']>[0]) => {
          await settled()
          await target.close(options)
        }
      }
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
    set: (target, key, value) => Reflect.set(target, key, value, target),
  })
}

/** The `drain` event is awaited: the library's `onDrain` resolves at once after the first one. */
async function drained(stream: Stream, signal: AbortSignal): Promise<void> {
  while (stream.writableNeedsDrain && stream.status === 'open') {
    const ended = AbortSignal.any([signal, AbortSignal.timeout(DRAIN_TIMEOUT_MS)])
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        stream.removeEventListener('drain', done)
        stream.removeEventListener('close', done)
        ended.removeEventListener('abort', onAbort)
        resolve()
      }
      const onAbort = (): void => {
        done()
        reject(ended.reason as Error)
      }
      stream.addEventListener('drain', done)
      stream.addEventListener('close', done)
      ended.addEventListener('abort', onAbort)
    })
    // The stream empties its own buffer in a microtask after the event and may be full again.
    await Promise.resolve()
  }
}

/**
 * A stream whose sender is held back, by pausing it, while this node may not receive more; what came is handed on all the
 * same. Only muxers with windows of their own (yamux) are to be paused: others reset a stream that is not read, and of
 * those what comes is only counted.
 *
 * The sender's end is told with the last of what it sent, not ahead of what waits in a paused stream.
 */
export function pacedReads(
  stream: Stream,
  flow: Flow,
  bandwidth: Bandwidth,
  { signal, mayPause }: { signal: AbortSignal; mayPause: boolean },
): Stream {
  let isWaiting = false
  let isResuming = false
  let unpaidBytes = 0

  async function pay(): Promise<void> {
    isWaiting = true
    try {
      while (unpaidBytes > 0) {
        const bytes = Math.min(unpaidBytes, bandwidth.sliceBytes(flow))
        unpaidBytes -= bytes
        await bandwidth.take(flow, bytes, signal)
      }
    } catch {
      // The node stops, and the stream with it.
    } finally {
      isWaiting = false
    }
    if (stream.readStatus !== 'paused') return
    isResuming = true
    stream.resume()
    isResuming = false
    hold()
  }

  function hold(): void {
    // A pause within resume() is undone by what resume() does last.
    if (isWaiting && mayPause && !isResuming && stream.readStatus === 'readable') stream.pause()
  }

  function onMessage({ data }: StreamMessageEvent): void {
    unpaidBytes += data.byteLength
    if (isWaiting) return
    if (bandwidth.sliceBytes(flow) < Infinity) {
      void pay()
      hold()
      return
    }
    void bandwidth.take(flow, unpaidBytes, signal)
    unpaidBytes = 0
  }

  // Whoever listens for messages starts the flow, so that they are seen on their way to the first who does.
  let isWatched = false
  const addEventListener: Stream['addEventListener'] = (
    type: string,
    listener: unknown,
    options?: unknown,
  ): void => {
    const add = stream.addEventListener.bind(stream) as (...args: unknown[]) => void
    if (type === 'message' && !isWatched) {
      isWatched = true
      add('message', onMessage)
    }
    add(type === 'remoteCloseWrite' ? 'end' : type, listener, options)
  }

  return new Proxy(stream, {
    get(target, key) {
      if (key === 'addEventListener') return addEventListener
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
    set: (target, key, value) => Reflect.set(target, key, value, target),
  })
}
