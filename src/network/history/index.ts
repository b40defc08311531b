/**
 * Who was connected before: found again after a restart without anybody's help, and shown by `p2pnode peers --known`.
 *
 * @example
 *
 * ```ts
 * const history = createPeerHistory({ state, log, retentionMs: config.network.peers.retentionMs })
 * history.start()
 * history.connected(peer, '/ip4/192.0.2.7/tcp/4700')
 * history.candidates(8) // where to look first when peers are wanted
 * history.stop()
 * ```
 */
export { createPeerHistory } from './history.ts'
export type { KnownPeer, PeerHistory } from './types.ts'
