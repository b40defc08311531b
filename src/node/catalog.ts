import type { Libp2p } from '@libp2p/interface'
import type { Config } from '../../config/index.ts'
import type { Reconcile } from '../../protocols/reconcile/types.ts'
import { type Catalog, type CatalogOptions, createCatalog, type Description } from '../catalog/index.ts'
import { described } from '../content/announce/describe.ts'
import { contentPrivate } from '../content/errors.ts'
import type { PrivateMark } from '../content/private/types.ts'
import { parseAddress } from '../content/read/address.ts'
import type { ContentService } from '../content/types.ts'
import type { Convergence } from '../gossip/convergence/index.ts'
import type { Gossip } from '../gossip/index.ts'
import { knownRoutes, type NetworkServices } from '../network/index.ts'
import type { OpenStorage } from '../storage/open.ts'
import { parsePeer, type TrustService } from '../trust/index.ts'
import { parseLink } from '../vault/codec/link.ts'

export interface NodeCatalogOptions
  extends Omit<CatalogOptions, 'networkName' | 'config' | 'publicAddress' | 'cidOf' | 'parsePeer' | 'trust'> {
  config: Config
  trust: TrustService
  isPrivate: PrivateMark['isPrivate']
}

const LINK = /^p2pnode:/
const NAMED = /^(?:\/ipns\/|ipns:\/\/)/

/** The catalogue of a node: what may be published is what the other rooms call an address, and is not private. */
export function createNodeCatalog({ config, isPrivate, ...options }: NodeCatalogOptions): Catalog {
  return createCatalog({
    ...options,
    networkName: config.network.name,
    config: config.catalog,
    parsePeer,
    publicAddress(address) {
      if (LINK.test(address)) {
        parseLink(address)
        return { text: address, isLink: true }
      }
      if (NAMED.test(address)) return { text: address.replace(/^ipns:\/\//, '/ipns/'), isLink: false }
      const { root, path } = parseAddress(address)
      if (isPrivate(root)) throw contentPrivate(root)
      return { text: [`/ipfs/${root}`, ...path].join('/'), isLink: false }
    },
    cidOf: (address) => /^\/ipfs\/([^/]+)/.exec(address)?.[1],
  })
}

export interface NodeCatalogNetwork {
  libp2p: Libp2p<NetworkServices & { reconcile: Reconcile }>
  gossip: Gossip
  convergence: Convergence
  content: Pick<ContentService, 'resolve'>
  storage: Pick<OpenStorage, 'pins' | 'blocks'>
  trust: Pick<TrustService, 'onChange'>
}

/** Starts it over a libp2p that has started; returns what stops it. */
export function startCatalog(catalog: Catalog, network: NodeCatalogNetwork): () => Promise<void> {
  const { libp2p, gossip, convergence, content, storage, trust } = network
  const { dht, reconcile } = libp2p.services
  catalog.start({
    gossip,
    convergence,
    reconcile,
    heads: { dht, hasRoutes: () => knownRoutes(dht) > 0 },
    describe: (address) => descriptionOf(address, content, storage),
  })
  libp2p.addEventListener('peer:identify', catalog.wake)
  const endTrust = trust.onChange(catalog.trustChanged)
  return async () => {
    libp2p.removeEventListener('peer:identify', catalog.wake)
    endTrust()
    await catalog.stop()
  }
}

/** What is held of a public address; nobody is asked. */
async function descriptionOf(
  address: string,
  content: Pick<ContentService, 'resolve'>,
  storage: Pick<OpenStorage, 'pins' | 'blocks'>,
): Promise<Description | undefined> {
  if (!address.startsWith('/ipfs/')) return undefined
  try {
    const { root, path } = parseAddress(address)
    if (path.length > 0) return undefined
    const { name, sizeBytes, kind } = await described(root, content, storage)
    const base = { kind, sizeBytes }
    return name === '' ? base : { ...base, title: name }
  } catch {
    // It is not held here, or not as a whole: whoever publishes says what it is.
    return undefined
  }
}
