import type { CID } from 'multiformats/cid'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { Pins } from '../../storage/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import { withOverhead } from './acquirer.ts'
import { pinNameOf } from './auto.ts'
import { MAX_ITEMS_PER_POLICY, SAME_READ_MS } from './limits.ts'
import type { PolicyItem, PolicyStore } from './store.ts'
import type { PolicyRecord, RecentRule } from './types.ts'

export interface RecentOptions {
  store: PolicyStore
  pins: Pick<Pins, 'add' | 'remove'>
  policies: () => readonly PolicyRecord[]
  log: Logger
  now: () => number
  signal: AbortSignal
  /** The time of something has become known. */
  onChanged: () => void
}

/** Keeps what was read within a window. What is not held whole, such as a film of which a minute was seen, is not kept. */
export class RecentReads {
  readonly #options: RecentOptions

  constructor(options: RecentOptions) {
    this.#options = options
  }

  async read(cid: CID, sizeBytes: number): Promise<void> {
    for (const { id, rule } of this.#options.policies()) {
      if (rule.kind === 'recent') await this.#keep(id, rule, cid, sizeBytes)
    }
  }

  async #keep(policy: number, rule: RecentRule, cid: CID, sizeBytes: number): Promise<void> {
    const { store, pins, now, signal, onChanged } = this.#options
    const nowMs = now()
    const untilMs = nowMs + rule.windowMs
    const known = store.item(policy, cid)
    if (known !== undefined) {
      if (known.untilMs === null || untilMs - known.untilMs > Math.min(SAME_READ_MS, rule.windowMs / 8))
        store.put({ ...known, untilMs })
      return
    }
    const bytes = withOverhead(sizeBytes)
    if (bytes > rule.budgetBytes) return
    // The row first: a pin without one would stay for ever, a row without a pin ends by itself.
    store.put({ policy, cid, peer: '', bytes, isKept: true, atMs: nowMs, untilMs })
    try {
      await pins.add(cid, { name: pinNameOf(policy), kind: 'recursive', signal })
    } catch (error) {
      if (!signal.aborted) store.drop(policy, cid)
      if (isIncomplete(error) || signal.aborted) return
      throw error
    }
    await this.#makeRoom(policy, rule)
    onChanged()
  }

  async #makeRoom(policy: number, rule: RecentRule): Promise<void> {
    const { store } = this.#options
    const use = store.use(policy)
    let { bytes, items } = use
    if (bytes <= rule.budgetBytes && items <= MAX_ITEMS_PER_POLICY) return
    for (const item of store.items(policy, items)) {
      if (bytes <= rule.budgetBytes && items <= MAX_ITEMS_PER_POLICY) return
      await this.letGo(item)
      bytes -= item.bytes
      items -= 1
    }
  }

  /** Its window has ended, or its place is needed. */
  async letGo({ policy, cid }: PolicyItem): Promise<void> {
    const { store, pins, signal, log } = this.#options
    try {
      await pins.remove(cid, { name: pinNameOf(policy), kind: 'recursive', signal })
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof P2pnodeError) || error.code !== 'ERR_PIN_NOT_FOUND') throw error
      log.debug({ cid: cid.toString() }, 'what a policy kept was unpinned by somebody else')
    }
    store.drop(policy, cid)
  }
}

function isIncomplete(error: unknown): boolean {
  return error instanceof P2pnodeError && /^ERR_PIN_(INCOMPLETE|UNWALKABLE|REMOVED)$/.test(error.code)
}
