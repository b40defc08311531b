import type { Flow } from '../../protocols/shared/bandwidth.ts'
import { createPeerHistory, type PeerHistory } from './history/index.ts'
import type { PeerHistoryOptions } from './history/history.ts'
import { PeerTraffic } from './traffic.ts'

/** What is known of peers, for the choice of whom to connect to and whom to keep. */
export interface PeerRecords {
  readonly history: PeerHistory
  readonly traffic: PeerTraffic
  /** A peer that this node depends on is closed last. */
  readonly isNeeded: (peer: string) => boolean
  /** Told by the bandwidth limiter of everything that moves. */
  readonly moved: (flow: Flow, bytes: number) => void
}

export function createPeerRecords({
  isNeeded,
  ...options
}: PeerHistoryOptions & Pick<PeerRecords, 'isNeeded'>): PeerRecords {
  const history = createPeerHistory(options)
  const traffic = new PeerTraffic()
  return {
    history,
    traffic,
    isNeeded,
    moved({ peer, protocol, direction }, bytes) {
      // Who reads over HTTP is an address, not a peer.
      if (protocol === 'gateway') return
      traffic.moved(peer, bytes)
      history.moved(peer, direction, bytes)
    },
  }
}
