/**
 * Provider records: what this node tells the DHT that it has.
 *
 * ```ts
 * const provides = createProvides({ config, state, libp2p, storage, hasRoutes, isPrivate, log })
 * provides.start()
 * provides.add(root)
 * await provides.provide(cid, { signal })
 * await provides.stop()
 * ```
 */
import type { Libp2p } from '@libp2p/interface'
import type { OpenStorage } from '../../storage/open.ts'
import type { StateDatabase } from '../../storage/state/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { CID } from 'multiformats/cid'
import { ProvideQueue } from './queue.ts'
import type { ProvideRecords, ProvideStrategy } from './types.ts'

export type * from './types.ts'

export interface ProvideConfig {
  strategy: ProvideStrategy
  /** A record is announced again before it is older than this. */
  intervalMs: number
  /** Provides under way at once. */
  concurrency: number
  /** Provides begun in a second. */
  ratePerSecond: number
}

export interface ProvideOptions {
  config: ProvideConfig
  state: StateDatabase
  libp2p: Pick<Libp2p, 'contentRouting' | 'getPeers' | 'addEventListener' | 'removeEventListener'>
  storage: {
    blocks: Pick<OpenStorage['blocks'], 'has'>
    pins: Pick<OpenStorage['pins'], 'list' | 'state' | 'references'>
  }
  /** Whether the DHT knows anybody to tell. */
  hasRoutes: () => boolean
  /** Whether a CID must not leave the swarm; by default nothing is private. */
  isPrivate?: ((cid: CID) => boolean) | undefined
  /** Whether a CID is on a denylist; by default none is. */
  isDenied?: ((cid: CID) => boolean) | undefined
  log: Logger
  /** Wall clock in milliseconds; other than the default only in tests. */
  now?: () => number
}

export function createProvides(options: ProvideOptions): ProvideRecords {
  return new ProvideQueue(options)
}
