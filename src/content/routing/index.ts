/**
 * Who has what, and where peers are, as this node can find it out: what the routing API answers with.
 *
 * @example
 * const routing = createRouting({ libp2p, blocks: storage.blocks, hasRoutes, isPrivate, log })
 * for await (const { id, addrs } of routing.providers(cid, { signal })) …
 */
import type { Libp2p, PeerId, PeerInfo } from '@libp2p/interface'
import { CID } from 'multiformats/cid'
import type { MultihashDigest } from 'multiformats/hashes/interface'
import type { Blocks } from '../../storage/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { PrivateMark } from '../private/types.ts'
import type { RoutedPeer, RoutingSource } from './types.ts'

export type * from './types.ts'

/** Kademlia's k: a look-up finds no more. */
const MAX_CLOSEST_PEERS = 20
const RAW = 0x55
const BITSWAP = 'transport-bitswap'
const BITSWAP_PREFIX = '/ipfs/bitswap'

export interface RoutingOptions {
  libp2p: Pick<
    Libp2p,
    'contentRouting' | 'peerRouting' | 'peerStore' | 'peerId' | 'getMultiaddrs' | 'getProtocols'
  >
  blocks: Pick<Blocks, 'has'>
  /** Whether the DHT knows anybody to ask. */
  hasRoutes: () => boolean
  isPrivate: PrivateMark['isPrivate']
  log: Logger
}

export function createRouting(options: RoutingOptions): RoutingSource {
  const { libp2p, blocks, hasRoutes, isPrivate } = options
  const log = options.log.child({ part: 'routing' })

  const own = (): RoutedPeer => ({
    id: libp2p.peerId.toString(),
    addrs: libp2p.getMultiaddrs().map((address) => withoutPeer(address.toString())),
    protocols: bitswapOf(libp2p.getProtocols()),
  })

  /** With what is remembered of the peer, where the DHT gave no address. */
  async function present(peer: Pick<PeerInfo, 'id' | 'multiaddrs'>): Promise<RoutedPeer> {
    const known = await libp2p.peerStore.get(peer.id).catch(() => undefined)
    const addresses =
      peer.multiaddrs.length > 0
        ? peer.multiaddrs
        : (known?.addresses ?? []).map(({ multiaddr }) => multiaddr)
    const addrs = new Set(addresses.map((address) => withoutPeer(address.toString())))
    return { id: peer.id.toString(), addrs: [...addrs], protocols: bitswapOf(known?.protocols ?? []) }
  }

  return {
    async *providers(cid, { signal }) {
      if (isPrivate(cid)) return
      if (await blocks.has(cid)) yield own()
      if (!hasRoutes()) return
      const seen = new Set([libp2p.peerId.toString()])
      try {
        for await (const provider of libp2p.contentRouting.findProviders(cid, { signal })) {
          const text = provider.id.toString()
          if (seen.has(text)) continue
          seen.add(text)
          yield await present(provider)
        }
      } catch (error) {
        // Routers report an empty result as an error, and their end with the time that they were given as another.
        log.debug({ error: String(error) }, 'a search for providers ended')
      }
    },

    async peer(id: PeerId, { signal }) {
      if (id.equals(libp2p.peerId)) return own()
      const known = await libp2p.peerStore.get(id).catch(() => undefined)
      if (known !== undefined && known.addresses.length > 0) return present({ id, multiaddrs: [] })
      if (!hasRoutes()) return undefined
      try {
        return await present(await libp2p.peerRouting.findPeer(id, { signal }))
      } catch (error) {
        log.debug({ peer: id.toString(), error: String(error) }, 'a peer was not found')
        return undefined
      }
    },

    async closest(key: MultihashDigest, { signal }) {
      if (isPrivate(CID.createV1(RAW, key)) || !hasRoutes()) return []
      const found: RoutedPeer[] = []
      try {
        for await (const peer of libp2p.peerRouting.getClosestPeers(key.bytes, { signal })) {
          if (found.length >= MAX_CLOSEST_PEERS) break
          found.push(await present(peer))
        }
      } catch (error) {
        log.debug({ error: String(error) }, 'a walk to a key ended early')
      }
      return found
    },
  }
}

const withoutPeer = (address: string): string => address.replace(/\/p2p\/[^/]+$/, '')

const bitswapOf = (protocols: readonly string[]): string[] =>
  protocols.some((protocol) => protocol.startsWith(BITSWAP_PREFIX)) ? [BITSWAP] : []
