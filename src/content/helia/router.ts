import type { Provider, Router } from 'helia'
import type { Libp2p, PeerInfo } from '@libp2p/interface'
import { peerIdFromCID } from '@libp2p/peer-id'
import type { CID } from 'multiformats/cid'
import type { ContentPolicy } from '../../trust/contract.ts'
import { contentDenied, contentPrivate } from '../errors.ts'
import { NOTHING_PRIVATE, type PrivateMark } from '../private/types.ts'

const ROUTER_NAME = 'libp2p-router'

/** Helia names peers by the CID of their key. */
function toHelia(peer: PeerInfo): Provider {
  return { id: peer.id.toCID(), multiaddrs: peer.multiaddrs, router: ROUTER_NAME, fallback: false }
}

/**
 * libp2p's routing (the DHT) for Helia, which has such a router but keeps it to itself. It knows nothing of private and denied CIDs.
 */
export function libp2pRouter(
  libp2p: Pick<Libp2p, 'contentRouting' | 'peerRouting'>,
  { isPrivate }: PrivateMark = NOTHING_PRIVATE,
  denied?: ContentPolicy,
): Router {
  const { contentRouting, peerRouting } = libp2p
  const isDenied = (cid: CID): boolean => denied?.decideContent('tell', { cid }).allowed === false
  return {
    name: ROUTER_NAME,
    provide: async (cid, options) => {
      if (isPrivate(cid)) throw contentPrivate(cid)
      if (isDenied(cid)) throw contentDenied(cid.toString())
      await contentRouting.provide(cid, options)
    },
    cancelReprovide: (cid, options) => contentRouting.cancelReprovide(cid, options),
    async *findProviders(cid, options) {
      if (isPrivate(cid) || isDenied(cid)) return
      for await (const peer of contentRouting.findProviders(cid, options)) yield toHelia(peer)
    },
    findPeer: async (peer, options) => toHelia(await peerRouting.findPeer(peerIdFromCID(peer), options)),
    async *getClosestPeers(key, options) {
      for await (const peer of peerRouting.getClosestPeers(key, options)) yield toHelia(peer)
    },
  }
}
