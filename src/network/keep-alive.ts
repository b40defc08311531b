import type { PeerId, PeerStore } from '@libp2p/interface'
import { KEEP_ALIVE } from '@libp2p/interface'

/**
 * Lets a peer go for good: the DHT marks its nearest peers to be kept, and libp2p then dials them as soon as they are gone.
 * Never rejects.
 */
export async function forgetKeepAlive(peerStore: PeerStore, peer: PeerId): Promise<void> {
  try {
    if (!(await peerStore.has(peer))) return
    const { tags } = await peerStore.get(peer)
    const kept = [...tags.keys()].filter((tag) => tag.startsWith(KEEP_ALIVE))
    if (kept.length === 0) return
    await peerStore.merge(peer, { tags: Object.fromEntries(kept.map((tag) => [tag, undefined])) })
  } catch {
    // The peer store is closed, or the peer has just been removed from it: nothing is left to dial by.
  }
}
