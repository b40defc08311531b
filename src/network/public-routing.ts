import type { ContentRouting, Libp2p, Provider } from '@libp2p/interface'
import type { NetworkServices } from './options.ts'
import { knownRoutes } from './routes.ts'

/** One DHT among several. */
export interface RoutedDht {
  readonly routing: Pick<ContentRouting, 'findProviders' | 'provide' | 'cancelReprovide'>
  /** Peers in its routing table; kad-dht waits without end where there are none. */
  routes(): number
}

/**
 * libp2p as public content sees it: what is asked of its content routing is asked of the network's own DHT and, in public mode, of that of
 * IPFS at the same time. Everything else is libp2p's own. Must not be given to whoever looks for what is not public.
 */
export function withPublicRouting(libp2p: Libp2p<NetworkServices>): Libp2p<NetworkServices> {
  const { dht, ipfsDht } = libp2p.services
  if (ipfsDht === undefined) return libp2p
  const merged = mergedRouting([
    { routing: libp2p.contentRouting, routes: () => knownRoutes(dht) },
    { routing: ipfsDht.routing, routes: ipfsDht.routes },
  ])
  const contentRouting = new Proxy(libp2p.contentRouting, {
    get(own, key) {
      const value: unknown = Reflect.get(merged, key) ?? Reflect.get(own, key, own)
      return typeof value === 'function' ? value.bind(own) : value
    },
  })
  return new Proxy(libp2p, {
    get(own, key) {
      if (key === 'contentRouting') return contentRouting
      const value: unknown = Reflect.get(own, key, own)
      return typeof value === 'function' ? value.bind(own) : value
    },
  })
}

/** Whether any DHT in which public content is announced knows anybody to ask. */
export function hasPublicRoutes({ services }: Libp2p<NetworkServices>): boolean {
  return knownRoutes(services.dht) > 0 || (services.ipfsDht?.routes() ?? 0) > 0
}

/** Several DHTs as one. One that fails or knows nobody does not keep the others from answering. */
export function mergedRouting(dhts: readonly RoutedDht[]): RoutedDht['routing'] {
  /** Those that know somebody; where none does, the first, which then waits or fails as it would alone. */
  const reachable = (): readonly RoutedDht[] => {
    const knowing = dhts.filter(({ routes }) => routes() > 0)
    return knowing.length > 0 ? knowing : dhts.slice(0, 1)
  }
  return {
    async provide(cid, options) {
      const all = await Promise.allSettled(
        reachable().map(async ({ routing }) => routing.provide(cid, options)),
      )
      const failed = all.filter((one) => one.status === 'rejected')
      if (failed.length === all.length) throw failed[0]?.reason
    },
    async cancelReprovide(cid, options) {
      await Promise.all(dhts.map(async ({ routing }) => routing.cancelReprovide(cid, options)))
    },
    async *findProviders(cid, options) {
      const seen = new Set<string>()
      const all = reachable().map(({ routing }) => routing.findProviders(cid, options))
      for await (const provider of merged(all)) {
        const name = provider.id.toString()
        if (seen.has(name)) continue
        seen.add(name)
        yield provider
      }
    },
  }
}

/** What any of them gives, as it comes. @throws what the first threw where all of them did */
async function* merged(sources: readonly AsyncIterable<Provider>[]): AsyncGenerator<Provider> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]())
  const errors: unknown[] = []
  type Step = { from: AsyncIterator<Provider>; result: IteratorResult<Provider> }
  const stepOf = async (from: AsyncIterator<Provider>): Promise<Step> => {
    try {
      return { from, result: await from.next() }
    } catch (error) {
      errors.push(error)
      return { from, result: { done: true, value: undefined } }
    }
  }
  const pending = new Map(iterators.map((iterator) => [iterator, stepOf(iterator)]))
  try {
    while (pending.size > 0) {
      const { from, result } = await Promise.race(pending.values())
      if (result.done === true) pending.delete(from)
      else {
        pending.set(from, stepOf(from))
        yield result.value
      }
    }
    if (errors.length > 0 && errors.length === iterators.length) throw errors[0]
  } finally {
    // Not awaited: one that hangs in its last step must not keep the others' reader.
    for (const iterator of pending.keys()) void Promise.resolve(iterator.return?.()).catch(() => {})
  }
}
