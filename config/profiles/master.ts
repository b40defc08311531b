import type { Differences } from './differences.ts'

/** A machine that is always on and reachable: many peers, much storage, a pillar of the DHT. */
export const master: Differences = {
  'network.dht': 'server',
  'network.minConnections': 32,
  'network.maxConnections': 1000,
  'network.maxInboundPerIpPerSecond': 50,
  'storage.quota': '200GiB',
  'storage.offer': '80%',
  'storage.memory': '256MiB',
}
