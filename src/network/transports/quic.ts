import { quic } from '@chainsafe/libp2p-quic'
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
  return ({ privateKey, logger, metrics }) =>
    factory({ privateKey, logger, ...(metrics === undefined ? {} : { metrics }) })
}
