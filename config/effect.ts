import type { Config } from './schema.ts'
import { formatSize } from './units.ts'

/**
 * What a node is to its network under this configuration, in a few words each: the effect of the role, and of whatever
 * else changes the same things. `status` and `config show` print it.
 */
export function effectOf({ network, storage }: Config): string[] {
  const effects: string[] = [DHT_EFFECTS[network.dht]]
  if (network.relay.server) effects.push(`relays for up to ${network.relay.maxReservations} others`)
  effects.push(RELAY_EFFECTS[network.relay.client])
  const quota = formatSize(storage.quotaBytes)
  effects.push(
    storage.offerBytes === 0
      ? `keeps up to ${quota}, lends nothing`
      : `keeps up to ${quota}, lends ${formatSize(storage.offerBytes)} of it`,
    `${network.minConnections} to ${network.maxConnections} connections`,
  )
  return effects
}

const DHT_EFFECTS = {
  server: 'keeps and answers DHT records',
  client: 'only asks the DHT',
  auto: 'keeps DHT records while it can be reached',
} as const satisfies Record<Config['network']['dht'], string>

const RELAY_EFFECTS = {
  auto: 'is reached through relays while it is behind a NAT',
  always: 'is reached through relays',
  never: 'uses no relays',
} as const satisfies Record<Config['network']['relay']['client'], string>
