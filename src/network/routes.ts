import type { KadDHT } from '@libp2p/kad-dht'

/** How many peers the DHT knows to ask; 0 on a node that is alone. The library has the table but not in its type. */
export function knownRoutes(dht: KadDHT): number {
  const { routingTable } = dht as KadDHT & { routingTable?: { readonly size: number } }
  return routingTable?.size ?? 0
}
