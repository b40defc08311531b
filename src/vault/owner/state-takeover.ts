import { sameBytes, slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import { Pacer } from '../../../protocols/shared/pacer.ts'
import { mergeDocument, readDocument, type StateDocument } from './document.ts'
import {
  MAX_RIVALS,
  STATE_FAR_LOOK_MS,
  STATE_LOOK_AHEAD,
  STATE_LOOK_BACK,
  STATE_MARK_EVERY,
  STATE_TAKEOVER_MS,
} from './limits.ts'
import type { OwnerDependencies } from './put/dependencies.ts'
import type { OwnerObject, OwnerState } from './state.ts'
import { type FoundVersion, fetchVersion, findVersions } from './state-versions.ts'

/** Contents that are remembered as merged; those of the versions that are looked at, and then some. */
const MAX_MERGED = 4 * MAX_RIVALS

export interface TakenOver {
  /** The highest number that another machine has used, as far as was seen. */
  newest: number
  /** Something here is in no version that recovery would read first: a further one has to be made. */
  isBehind: boolean
}

/**
 * Takes over what other machines of this owner keep in the network: what they put is renewed from here as well, what they deleted is
 * deleted, and the next version has all of it.
 */
export class StateTakeOver {
  readonly #dependencies: OwnerDependencies
  readonly #onDeleted: (object: OwnerObject) => Promise<void>
  readonly #merged = new Set<string>()
  #farMs = Number.NEGATIVE_INFINITY

  constructor(dependencies: OwnerDependencies, onDeleted: (object: OwnerObject) => Promise<void>) {
    this.#dependencies = dependencies
    this.#onDeleted = onDeleted
  }

  /**
   * Looks around `last`, the last number that this machine used: a little behind it for what was not to be had then, and ahead of it,
   * far where that was not done for a while. What it finds may be what an attempt of this machine that failed has left; that changes
   * nothing.
   */
  async look(last: number, signal: AbortSignal): Promise<TakenOver> {
    const { state, ownerSecret } = this.#dependencies
    const isFar = performance.now() - this.#farMs > STATE_FAR_LOOK_MS
    const reach = isFar
      ? { count: STATE_MARK_EVERY }
      : { count: STATE_LOOK_BACK + STATE_LOOK_AHEAD, ahead: 0 }
    const from = Math.max(1, last - STATE_LOOK_BACK)
    const found = await findVersions(this.#dependencies, ownerSecret(), signal, { from, ...reach })
    if (isFar) this.#farMs = performance.now()
    const others = found.filter(({ slab, indexHash }) => {
      const own = state.slab(slab)?.indexHash
      return own === undefined || own === null || !sameBytes(own, indexHash)
    })
    const unknown = others.filter((version) => !this.#merged.has(keyOf(version)))
    const within = AbortSignal.any([signal, AbortSignal.timeout(STATE_TAKEOVER_MS)])
    let isBehind = false
    for (const version of unknown.slice(0, MAX_RIVALS)) {
      const isNews = await this.#take(version, last, within).catch((error: unknown) => {
        signal.throwIfAborted()
        // It is looked for again the next time.
        this.#dependencies.log.info(
          { err: error, version: version.version },
          "another machine's state could not be taken over yet",
        )
        return false
      })
      isBehind ||= isNews
    }
    return { newest: others[0]?.version ?? 0, isBehind }
  }

  /** Whether a further version is needed for it. */
  async #take(version: FoundVersion, last: number, signal: AbortSignal): Promise<boolean> {
    const { state, ownerSecret, leaseMs, onLeases } = this.#dependencies
    const bytes = await fetchVersion(this.#dependencies, ownerSecret(), version, signal)
    // What a holder only says to have is nothing that another machine made.
    if (bytes === undefined) return false
    const document = await readDocument(bytes)
    const isNew = document.deleted.some(({ id }) => !state.isDeleted(id))
    const added = await mergeDocument(state, ownerSecret(), document, leaseMs, this.#onDeleted)
    this.#remember(keyOf(version))
    onLeases()
    // A version below the own one is read by nobody any more: what it told has to be told again.
    return version.version < last ? isNew || added > 0 : lacks(document, state)
  }

  #remember(key: string): void {
    this.#merged.add(key)
    const [oldest] = this.#merged
    if (this.#merged.size > MAX_MERGED && oldest !== undefined) this.#merged.delete(oldest)
  }
}

function keyOf({ slab, indexHash }: FoundVersion): string {
  return `${slabKeyOf(slab)} ${Buffer.from(indexHash).toString('hex')}`
}

/** Whether something is known here that is not in the document. */
async function lacks({ objects, deleted }: StateDocument, state: OwnerState): Promise<boolean> {
  const pacer = new Pacer()
  const gone = new Set(deleted.map(({ id }) => id))
  const there = new Set(objects.map(({ object }) => object.id))
  for (const { id, state: is } of state.allObjects()) {
    if ((is === 'stored' || is === 'degraded') && !there.has(id)) return true
    await pacer.breathe()
  }
  for (let after = ''; ; ) {
    const page = state.deleted(after)
    if (page.some(({ id }) => !gone.has(id))) return true
    const last = page.at(-1)
    if (last === undefined) return false
    after = last.id
    await pacer.breathe()
  }
}
