/**
 * Mutable names: IPNS records published, found, imported and told again; DNSLink; and the one question behind every path
 * below `/ipns/`.
 *
 * @example
 * const names = createNames({ state, identity, dhts: [{ dht, hasRoutes }], dnslink: config.content.dnslink, log })
 * names.start()
 * await names.publish({ address: '/ipfs/bafy…', signal })
 * const { path } = await names.resolve('k51…', { signal })
 */
import type { Identity } from '../../identity/index.ts'
import type { StateDatabase } from '../../storage/state/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { ContentPolicy } from '../../trust/contract.ts'
import { contentDenied } from '../errors.ts'
import { isDeniedRecord } from '../denied.ts'
import type { PrivateMark } from '../private/types.ts'
import { NOTHING_PRIVATE } from '../private/types.ts'
import { DhtNames, type NameDht } from './dht.ts'
import { DnsLinks, type LookupTxt } from './dnslink.ts'
import { nameNotFound } from './errors.ts'
import { RecordFinder } from './finder.ts'
import { NameKeys } from './keys.ts'
import { REPUBLISH_INTERVAL_MS } from './limits.ts'
import { parseName } from './name.ts'
import { privateTarget } from './private.ts'
import { NamePublisher } from './publisher.ts'
import { Republisher } from './republisher.ts'
import { walkNames } from './resolver.ts'
import { NameStore } from './store.ts'
import type { NameService } from './types.ts'

export { systemTxt } from './dnslink.ts'
export type { NameDht } from './dht.ts'
export { ipnsNamespace } from './namespace.ts'
export type * from './types.ts'

export interface NamesOptions {
  state: Pick<StateDatabase, 'db' | 'write' | 'writeRelaxed'>
  identity: Pick<Identity, 'privateKey'>
  /** The network's own DHT; in public mode that of IPFS too. */
  dhts: readonly NameDht[]
  /** `DOMAIN=/ipfs/…` (`content.dnslink`). */
  dnslink: readonly string[]
  /** Undefined where no DNS may be asked: in a private network. */
  lookupTxt?: LookupTxt | undefined
  /** Whether a CID must not be told of outside the swarm; by default none is. */
  isPrivate?: PrivateMark['isPrivate']
  /** What is neither followed nor told; by default nothing is. */
  denied?: ContentPolicy | undefined
  /** How often peers are told again. */
  republishMs?: number
  /** Between two names that are told again. */
  pauseMs?: number
  log: Logger
  /** Wall clock in milliseconds; other than the default only in tests. */
  now?: () => number
}

export interface Names extends NameService {
  /** Begins to tell the network again what is due. */
  start(): void
  /** Somebody has come who can be told. */
  wake(): void
  stop(): Promise<void>
}

export function createNames(options: NamesOptions): Names {
  const { state, identity, dhts, dnslink, lookupTxt, denied, republishMs = REPUBLISH_INTERVAL_MS } = options
  const now = options.now ?? Date.now
  const log = options.log.child({ part: 'names' })
  const store = new NameStore(state)
  const keys = new NameKeys(identity, store)
  const network = new DhtNames(dhts, log)
  const finder = new RecordFinder({ store, network, log, now })
  const dnsLinks = new DnsLinks({ links: dnslink, lookupTxt })
  const isPrivate = options.isPrivate ?? NOTHING_PRIVATE.isPrivate
  const isDenied = (name: string, value: string): boolean => isDeniedRecord(denied, name, value)
  const publisher = new NamePublisher({
    store,
    keys,
    finder,
    network,
    isPrivate,
    isDenied,
    republishMs,
    log,
    now,
  })
  const republisher = new Republisher({
    store,
    republish: (name, signal) => publisher.republish(name, signal),
    hasRoutes: () => network.hasRoutes,
    log,
    now,
    ...(options.pauseMs === undefined ? {} : { pauseMs: options.pauseMs }),
  })

  return {
    resolve: (name, query) => walkNames(name, query, { finder, dnsLinks, now, denied }),
    async record(text, query) {
      const name = parseName(text)
      if (name.kind !== 'key') throw nameNotFound(text, 'a domain has no IPNS record')
      const record = await finder.find(name, query)
      if (record === undefined) throw nameNotFound(name.text, 'no valid record is known')
      if (isDenied(name.text, record.value)) throw contentDenied(`/ipns/${name.text}`)
      // Whoever asks passes it on: the gateway, the routing server.
      if (privateTarget(record.value, isPrivate) !== undefined)
        throw nameNotFound(name.text, 'it leads to private content, of which no record is given')
      return record
    },
    async publish(publishOptions) {
      const published = await publisher.publish(publishOptions)
      republisher.wake()
      return published
    },
    async import(name, bytes, importOptions) {
      const imported = await publisher.import(name, bytes, importOptions)
      republisher.wake()
      return imported
    },
    published: () => publisher.published(),
    unpublish: (key) => publisher.unpublish(key),
    keys: () => keys.list(),
    createKey: (key) => keys.create(key, now()),
    removeKey: (key) => publisher.removeKey(key),
    start: () => republisher.start(),
    wake: () => republisher.wake(),
    async stop() {
      finder.stop()
      await republisher.stop()
    },
  }
}
