import { quic } from '@chainsafe/libp2p-quic'
import { unlessAborted } from '../../../protocols/shared/unless-aborted.ts'
import { QUIC_LIMITS } from '../limits.ts'
import type { TransportFactory } from './table.ts'

/** Loads a native addon, and opens a socket for each family of addresses to dial from. */
export function quicTransport(): TransportFactory {
  const factory = quic({
    handshakeTimeout: QUIC_LIMITS.handshakeTimeoutMs,
    maxIdleTimeout: QUIC_LIMITS.idleTimeoutMs,
    keepAliveInterval: QUIC_LIMITS.keepAliveMs,
    maxConcurrentStreamLimit: QUIC_LIMITS.maxInboundStreams,
    maxStreamData: QUIC_LIMITS.maxStreamBytes,
    maxConnectionData: QUIC_LIMITS.maxConnectionBytes,
  })
  return ({ privateKey, logger, metrics }) => {
    const transport = factory({ privateKey, logger, ...(metrics === undefined ? {} : { metrics }) })
    const dial = transport.dial.bind(transport)
    transport.dial = async (address, options) => {
      // The addon does not hear of the signal. What comes of the dial later the library ends, since the signal has aborted.
      return await unlessAborted(dial(address, options), options.signal)
    }
    return transport
  }
}
