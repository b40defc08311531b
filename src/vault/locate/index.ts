/**
 * Who holds a slab, and telling others what is held here.
 *
 * @example
 * const locator = createLocator({ chunk, libp2p, trust, hasRoutes, listGroups, datastore, log })
 * locator.start()
 * for await (const { column, peer } of locator.holders([slab], { group, signal })) …
 */
import type { Libp2p } from '@libp2p/interface'
import type { Chunk, SlabId } from '../../../protocols/chunk/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Policy } from '../../trust/contract.ts'
import type { ColumnAt, LocateOptions, Locator } from '../contracts.ts'
import type { AnnouncerOptions } from './announcer.ts'
import { Announcer } from './announcer.ts'
import { HolderSearch } from './search.ts'

export interface LocatorDependencies {
  /** With `withLocalHolder` around it, what this node holds itself is found too. */
  chunk: Pick<Chunk, 'peers' | 'onPeer' | 'have' | 'locate'>
  libp2p: Pick<
    Libp2p,
    | 'peerId'
    | 'dial'
    | 'getConnections'
    | 'getPeers'
    | 'contentRouting'
    | 'addEventListener'
    | 'removeEventListener'
  >
  trust: Policy
  /** Whether the DHT knows anybody to ask. */
  hasRoutes: () => boolean
  log: Logger
}

export type LocatorOptions = LocatorDependencies &
  Pick<AnnouncerOptions, 'listGroups' | 'datastore' | 'reprovideIntervalMs'>

export interface RunningLocator extends Locator {
  /** Begins to announce; searches work before. */
  start(): void
}

export function createLocator(options: LocatorOptions): RunningLocator {
  const announcer = new Announcer(options)
  const stopping = new AbortController()
  return {
    holders(slabs: readonly SlabId[], { signal, ...rest }: LocateOptions): AsyncIterable<ColumnAt> {
      const both = AbortSignal.any([signal, stopping.signal])
      return new HolderSearch(options, slabs, { ...rest, signal: both }).results()
    },
    announce: (group) => announcer.announce(group),
    withdraw: (group) => announcer.withdraw(group),
    start: () => announcer.start(),
    async stop() {
      stopping.abort(new Error('the node stops'))
      await announcer.stop()
    },
  }
}

export { createLocateAnswerer } from './answerer.ts'
export type { ReadingChunk } from './local-holder.ts'
export { withLocalHolder } from './local-holder.ts'
