/**
 * What this node and its peers are and have: told when a peer comes, and again when something has changed.
 *
 * @example
 * const capabilities = createCapabilities({ pins, privateMark, did, own, intervalMs, trust, log })
 * const libp2p = createLibp2p({ …, services: { content: content({ …, capabilities: capabilities.init }) } })
 * capabilities.start(libp2p.services.content)
 * capabilities.claims(peer, root) // 'yes', 'no', 'unknown'
 */
export type { Claim } from './book.ts'
export { createCapabilities, type OwnCapabilities, type PeerCapabilities } from './exchange.ts'
export { bandwidthTold, ipfsSide } from './own.ts'
