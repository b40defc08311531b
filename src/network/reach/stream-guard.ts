import type { Connection, Startable, Stream } from '@libp2p/interface'
import type { Logger } from '../../telemetry/types.ts'
import { STREAM_LIMITS } from '../limits.ts'

export interface StreamGuardComponents {
  connectionManager: { getConnections(): Connection[] }
}

/**
 * Bounds that QUIC and WebRTC do not have. A QUIC stream that the other side reset looks as if it had only ended its
 * writing, stays open, and counts towards the streams a protocol may have; and WebRTC lets a peer open any number.
 * libp2p's own limits are those of yamux and of single protocols.
 */
export function streamGuard(log: Logger): (components: StreamGuardComponents) => Startable {
  return ({ connectionManager }) => {
    /** When each stream was first seen with its other side ended. */
    let endedAtMs = new WeakMap<Stream, number>()
    let timer: NodeJS.Timeout | undefined

    function sweep(): void {
      const nowMs = performance.now()
      for (const connection of connectionManager.getConnections()) {
        const { streams } = connection
        if (streams.length > STREAM_LIMITS.maxPerConnection) {
          log.warn(
            { peer: connection.remotePeer.toString(), streams: streams.length },
            'connection dropped: too many streams',
          )
          connection.abort(new Error('more streams than one connection may have'))
          continue
        }
        if (!isQuic(connection)) continue
        for (const stream of streams) {
          if (stream.direction !== 'inbound' || stream.remoteWriteStatus !== 'closed') continue
          const sinceMs = endedAtMs.get(stream)
          if (sinceMs === undefined) endedAtMs.set(stream, nowMs)
          else if (nowMs - sinceMs >= STREAM_LIMITS.halfClosedMs) {
            stream.abort(new Error('the other side has ended this stream long ago'))
          }
        }
      }
    }

    return {
      start() {
        timer ??= setInterval(sweep, STREAM_LIMITS.sweepMs).unref()
      },
      stop() {
        clearInterval(timer)
        timer = undefined
        endedAtMs = new WeakMap()
      },
    }
  }
}

function isQuic({ remoteAddr }: Connection): boolean {
  return remoteAddr.getComponents().some(({ name }) => name === 'quic-v1')
}
