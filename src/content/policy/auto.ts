import type { CID } from 'multiformats/cid'
import type { Logger } from '../../telemetry/types.ts'
import type { Policy, Scores } from '../../trust/contract.ts'
import type { Heard } from '../announce/index.ts'
import { BUDGET_PERIOD_MS } from '../announce/limits.ts'
import type { Acquirer } from './acquirer.ts'
import { withOverhead } from './acquirer.ts'
import { MAX_ITEMS_PER_POLICY } from './limits.ts'
import { NO_POLICY, type PolicyStore } from './store.ts'
import type { AutoRule, PolicyRecord } from './types.ts'

export interface AutoOptions {
  /** `content.announce`: what is fetched, unpinned, without any policy. */
  autoFetch: { isOn: boolean; budgetBytes: number; minScore: number }
  store: PolicyStore
  acquirer: Acquirer
  trust: Policy & Scores
  policies: () => readonly PolicyRecord[]
  log: Logger
  now: () => number
}

/** What is announced, as far as policies look at it. */
export type Offered = Pick<Heard, 'author' | 'cid' | 'sizeBytes'>

/** The name under which a policy pins. */
export function pinNameOf(policy: number): string {
  return `policy/${policy}`
}

/**
 * What trusted peers announce: pinned by the policies that it fits, or else only fetched. A size that is not
 * told is not known to fit a budget, and is passed over.
 */
export class AutoPins {
  readonly #options: AutoOptions

  constructor(options: AutoOptions) {
    this.#options = options
  }

  async consider(offered: Offered): Promise<void> {
    const { policies, trust, autoFetch } = this.#options
    const { author, cid, sizeBytes } = offered
    if (sizeBytes === null) return
    if (!trust.decide(author, 'fetch', { cid: cid.toString() }).allowed) return
    const score = trust.score(author)
    let isPinned = false
    for (const { id, rule } of policies()) {
      if (rule.kind !== 'auto' || !fits(rule, author, score)) continue
      isPinned = (await this.#take(id, offered, sizeBytes, rule.budgetBytes)) || isPinned
    }
    if (!isPinned && autoFetch.isOn && score >= autoFetch.minScore) {
      const { store, now } = this.#options
      store.forget(NO_POLICY, now() - BUDGET_PERIOD_MS)
      await this.#take(NO_POLICY, offered, sizeBytes, autoFetch.budgetBytes)
    }
  }

  /** The job is durable before the row, which the job's end looks up: a crash between them costs the budget nothing. */
  async #take(
    policy: number,
    { author, cid }: Offered,
    sizeBytes: number,
    budgetBytes: number,
  ): Promise<boolean> {
    const { store, acquirer, now, log } = this.#options
    const known = store.item(policy, cid)
    if (known !== undefined) return true
    const use = store.use(policy)
    const bytes = withOverhead(sizeBytes)
    if (
      use.items >= MAX_ITEMS_PER_POLICY ||
      use.bytes + bytes > budgetBytes ||
      !acquirer.hasRoom(sizeBytes)
    ) {
      log.debug({ policy, cid: cid.toString() }, 'there is no room for what was announced')
      return false
    }
    store.put({ policy, cid, peer: author, bytes, isKept: false, atMs: now(), untilMs: null })
    try {
      const [pin, reason] = policy === NO_POLICY ? [null, 'announced'] : [pinNameOf(policy), 'auto']
      await acquirer.acquire({ cid, sizeBytes, peer: author, pin, reason })
    } catch (error) {
      store.drop(policy, cid)
      throw error
    }
    return true
  }
}

function fits(rule: AutoRule, author: string, score: number): boolean {
  return score >= rule.minScore && (rule.peer === undefined || rule.peer === author)
}

/** An acquisition of a policy has ended: what it holds is counted as kept, or no longer counted. */
export function settle(store: PolicyStore, policy: number, cid: CID, isKept: boolean): void {
  const item = store.item(policy, cid)
  if (item === undefined) return
  if (isKept) store.put({ ...item, isKept: true })
  // What is only fetched has cost its bytes, however it ended: else whoever announces too small a size has all the budget again.
  else if (policy !== NO_POLICY) store.drop(policy, cid)
}
