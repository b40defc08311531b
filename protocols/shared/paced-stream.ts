import type { Stream, StreamMessageEvent } from '@libp2p/interface'
import type { Bandwidth, Flow } from './bandwidth.ts'

/** For streams of protocols that know no credit. */

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
