import type { CircuitRelayServerComponents, CircuitRelayService } from '@libp2p/circuit-relay-v2'
import { circuitRelayServer } from '@libp2p/circuit-relay-v2'
import type { Libp2pEvents, PeerId, Startable, TypedEventTarget } from '@libp2p/interface'
import { RELAY_LIMITS } from '../limits.ts'
import type { NetworkSettings } from '../settings.ts'

/** A relay: how many slots it has given away. */
export interface RelayServer extends Startable {
  readonly reservations: number
}

export type RelayServerComponents = CircuitRelayServerComponents & {
  events: TypedEventTarget<Libp2pEvents>
}

/**
 * Carries connections between others, within limits that let a file through (`network.relay.dataLimit`).
 *
 * The library reads the time limit as milliseconds and sends the same number to both ends, which read it as seconds:
 * what they believe is a thousand times too long. They use it only to know that there is a limit; the relay holds it.
 */
export function relayServer({
  network: { relay },
}: NetworkSettings): (components: RelayServerComponents) => RelayServer {
  const factory = circuitRelayServer({
    hopTimeout: RELAY_LIMITS.hopTimeoutMs,
    maxInboundHopStreams: RELAY_LIMITS.maxHopStreams,
    maxOutboundStopStreams: RELAY_LIMITS.maxStopStreams,
    reservations: {
      maxReservations: relay.maxReservations,
      reservationTtl: RELAY_LIMITS.reservationMs,
      defaultDataLimit: BigInt(relay.dataLimitBytes),
      defaultDurationLimit: relay.timeLimitMs,
    },
  })
  return (components) => {
    const server = factory(components) as CircuitRelayService & Startable
    // The library keeps the slot of a peer that is gone until its time is over; nobody could reach it there.
    const release = ({ detail: peer }: CustomEvent<PeerId>): void => {
      server.reservations.get(peer)?.signal.clear()
      server.reservations.delete(peer)
    }
    return {
      get reservations() {
        return server.reservations.size
      },
      async start() {
        components.events.addEventListener('peer:disconnect', release)
        await server.start()
      },
      async stop() {
        components.events.removeEventListener('peer:disconnect', release)
        await server.stop()
      },
    }
  }
}
