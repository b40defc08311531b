import type { Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'

/** Round trip of the best connection to a peer in milliseconds; null where there is none, or none was measured. */
export function latencyOf(libp2p: Pick<Libp2p, 'getConnections'>, peer: string): number | null {
  const measured = libp2p
    .getConnections(peerIdFromString(peer))
    .map(({ rtt }) => rtt)
    .filter((rtt) => rtt !== undefined)
  return measured.length === 0 ? null : Math.min(...measured)
}
