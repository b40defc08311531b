import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import type { TransportManager } from '@libp2p/interface-internal'
import { RELAY_LIMITS } from '../limits.ts'
import type { TransportFactory } from '../transports/table.ts'
import { patientWalk } from './walk.ts'

/**
 * Ways through relays: dials them, and once a slot is wanted (`/p2p-circuit` is listened on) asks every connected relay
 * for one until it has enough.
 */
export function relayTransport(): TransportFactory {
  const factory = circuitRelayTransport({
    reservationCompletionTimeout: RELAY_LIMITS.reserveTimeoutMs,
    maxInboundStopStreams: RELAY_LIMITS.maxStopStreams,
    maxOutboundStopStreams: RELAY_LIMITS.maxStopStreams,
  })
  return ({
    peerId,
    events,
    registrar,
    connectionManager,
    peerStore,
    addressManager,
    logger,
    upgrader,
    connectionGater,
    randomWalk,
    metrics,
  }) =>
    factory({
      peerId,
      events,
      registrar,
      connectionManager,
      peerStore,
      addressManager,
      logger,
      upgrader,
      connectionGater,
      randomWalk: patientWalk(randomWalk),
      transportManager: NO_SLOT_BY_SURPRISE,
      ...(metrics === undefined ? {} : { metrics }),
    })
}

/**
 * A peer that hands over a relayed connection without having given a slot makes the library ask it for one and announce
 * its address. Where this node is reached is its own choice; the connection itself is then judged as any other.
 */
const NO_SLOT_BY_SURPRISE = {
  listen: () => Promise.reject(new Error('this node takes slots at relays by its own choice')),
} as unknown as TransportManager
