import type { Flags } from '../../config/index.ts'
import { NODE_MEMORY, NODE_QUOTA } from './limits.ts'

export type Role = 'master' | 'worker' | 'leecher'

/** A tenth are masters, a fifth leechers, the rest workers: enough who serve, and each role is there from five nodes on. */
export function rolesOf(count: number): Role[] {
  const masters = Math.max(1, Math.round(count / 10))
  const leechers = Math.floor(count / 5)
  return Array.from({ length: count }, (_, index) => {
    if (index < masters) return 'master'
    return index >= count - leechers ? 'leecher' : 'worker'
  })
}

/**
 * Whom a node connects to first: two masters, a different pair for each neighbour in the row, so that the loss of one
 * leaves a way; masters themselves start from one other. `others` are the masters that have an address, less the node itself.
 */
export function bootstrapOf(role: Role, index: number, others: readonly string[]): string[] {
  const picks = role === 'master' ? [0] : [index, index + 1]
  return [...new Set(picks.flatMap((pick) => others[pick % others.length] ?? []))]
}

/** What a simulated node's configuration differs in from that of a real one of its role. */
export function flagsOf(
  role: Role,
  networkName: string,
  bootstrap: readonly string[],
  ofScenario: Readonly<Record<string, string>> = {},
): Flags {
  const settings: Readonly<Record<string, string>> = {
    'api.port': '0',
    'gateway.port': '0',
    // No other network of this machine may be met, and multicast would leave it.
    'network.name': networkName,
    'network.mdns': 'false',
    // Loopback sockets: the others would only load their libraries.
    'network.transports.websocket': 'false',
    'network.transports.quic': 'false',
    'network.transports.webrtcDirect': 'false',
    'network.transports.webrtc': 'false',
    // All nodes come from one address.
    'network.maxInboundPerIpPerSecond': '100000',
    'storage.quota': NODE_QUOTA,
    'storage.memory': NODE_MEMORY,
    // One disk for all of them, and nothing on it outlives the simulation.
    'storage.durability': 'relaxed',
    ...ofScenario,
  }
  return {
    role,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    bootstrap,
    set: Object.entries(settings).map(([key, value]) => `${key}=${value}`),
  }
}
