import type { Differences } from './differences.ts'

/** A machine that is always on and reachable: many peers, much storage, a pillar of the DHT, a relay for those that cannot be reached. */
export const master: Differences = {
  'network.dht': 'server',
  'network.minConnections': 32,
  'network.maxConnections': 1000,
  'network.maxInboundPerIpPerSecond': 50,
  'network.relay.server': true,
  'network.relay.maxReservations': 512,
  'storage.quota': '200GiB',
  'storage.offer': '80%',
  'storage.memory': '256MiB',
}
