import { join } from 'node:path'
import type { Config } from '../../config/index.ts'
import type { PrivateMark } from '../content/private/types.ts'
import type { StateDatabase } from '../storage/state/index.ts'
import type { Logger } from '../telemetry/types.ts'
import type { ContentPolicy } from '../trust/contract.ts'
import { createDenylist } from '../trust/denylist/index.ts'
import { createTrust, type TrustOptions, type TrustService } from '../trust/index.ts'

/** Below the data folder: what an operator takes from others as files. */
const DENYLISTS = 'denylists'

/** Whom to believe, and what nobody is given. */
export async function startTrust(options: {
  config: Config
  home: string
  state: StateDatabase
  /** Who belongs to the private network, where the node is in one. */
  swarm: Pick<TrustOptions, 'membership'>
  log: Logger
}): Promise<TrustService> {
  const { config, home, state, swarm, log } = options
  const { membership } = swarm
  const denylist = createDenylist({ folder: join(home, DENYLISTS), log })
  await denylist.start()
  const trust = createTrust({
    state,
    log,
    networkName: config.network.name,
    thresholds: config.trust.thresholds,
    ...(membership === undefined ? {} : { membership }),
    denylist,
  })
  trust.start()
  return {
    ...trust,
    stop() {
      trust.stop()
      denylist.stop()
    },
  }
}

/** What is told to nobody outside of the network: what is private here, and what is on a denylist. */
export function hiddenFrom(privacy: PrivateMark, denied: ContentPolicy): PrivateMark {
  return { isPrivate: (cid) => privacy.isPrivate(cid) || !denied.decideContent('tell', { cid }).allowed }
}
