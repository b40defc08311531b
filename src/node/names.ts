import type { Libp2p } from '@libp2p/interface'
import type { Config } from '../../config/index.ts'
import { createNames, type Names, systemTxt } from '../content/names/index.ts'
import type { PrivateMark } from '../content/private/types.ts'
import type { Identity } from '../identity/index.ts'
import { knownRoutes, type NetworkServices } from '../network/index.ts'
import type { StateDatabase } from '../storage/state/index.ts'
import type { Logger } from '../telemetry/types.ts'
import type { ContentPolicy } from '../trust/contract.ts'

export interface NodeNamesOptions {
  config: Config
  state: StateDatabase
  identity: Identity
  libp2p: Libp2p<NetworkServices>
  privacy: PrivateMark
  trust: ContentPolicy
  log: Logger
}

/** The names of a node over its libp2p, which has started; they are told again when somebody comes. */
export function startNames(options: NodeNamesOptions): Names {
  const { config, state, identity, libp2p, privacy, trust, log } = options
  const { dht, ipfsDht } = libp2p.services
  const names = createNames({
    state,
    identity,
    dhts: [
      { dht, hasRoutes: () => knownRoutes(dht) > 0 },
      ...(ipfsDht === undefined ? [] : [{ dht: ipfsDht.dht, hasRoutes: () => ipfsDht.routes() > 0 }]),
    ],
    dnslink: config.content.dnslink,
    lookupTxt: config.network.mode === 'public' ? systemTxt() : undefined,
    isPrivate: privacy.isPrivate,
    denied: trust,
    republishMs: config.content.republishNamesMs,
    log,
  })
  libp2p.addEventListener('peer:identify', names.wake)
  names.start()
  return {
    ...names,
    async stop() {
      libp2p.removeEventListener('peer:identify', names.wake)
      await names.stop()
    },
  }
}
