import type { CID } from 'multiformats/cid'
import type { PrivateMark } from '../../content/private/types.ts'
import type { ContentService, OpenReader, ReadPlan } from '../../content/types.ts'
import type { ContentPolicy } from '../../trust/contract.ts'
import { gone, notFound } from './errors.ts'
import { checkRoot } from './ids.ts'

export interface GatewayBlocksOptions {
  content: Pick<ContentService, 'blocks'>
  privateMark: PrivateMark
  /** Never served. Known by multihash, so that no other text form or codec gets around it. */
  denied: readonly CID[]
  /** The denylists of the node. */
  contentPolicy?: ContentPolicy | undefined
  mayFetch: boolean
}

/** Every block that leaves by HTTP comes from here: private and denied ones do not, whatever format it was asked in. */
export class GatewayBlocks {
  readonly #options: GatewayBlocksOptions
  readonly #denied: ReadonlySet<string>

  constructor(options: GatewayBlocksOptions) {
    this.#options = options
    this.#denied = new Set(options.denied.map(multihashOf))
  }

  /** @param onlyHeld nothing is asked of others, whatever the configuration allows */
  open(plan: ReadPlan, onlyHeld: boolean): OpenReader {
    const { content, mayFetch } = this.#options
    const reader = content.blocks(plan, { offline: onlyHeld || !mayFetch })
    return {
      get: async (cid, signal) => {
        this.#check(cid)
        return reader.get(cid, signal)
      },
      close: () => reader.close(),
    }
  }

  /** @throws ERR_NOT_FOUND, ERR_DENIED, ERR_REQUEST_INVALID */
  #check(cid: CID): void {
    checkRoot(cid)
    // As for something that nobody has: that it exists is private, too.
    if (this.#options.privateMark.isPrivate(cid)) throw notFound(`${cid} could not be had`)
    const { contentPolicy } = this.#options
    const isListed = contentPolicy?.decideContent('read', { cid }).allowed === false
    if (isListed || this.#denied.has(multihashOf(cid))) throw gone(cid.toString())
  }
}

function multihashOf(cid: CID): string {
  return Buffer.from(cid.multihash.bytes).toString('base64')
}
