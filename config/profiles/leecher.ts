import type { Differences } from './differences.ts'

/** A laptop or a small machine: uses the network, lends nothing, keeps few connections and little memory, announces nothing. */
export const leecher: Differences = {
  'network.dht': 'client',
  'network.minConnections': 4,
  'network.maxConnections': 50,
  'storage.quota': '10GiB',
  'storage.offer': '0%',
  'storage.memory': '16MiB',
  'content.provide.strategy': 'off',
  'content.keep.offer': '0%',
}
