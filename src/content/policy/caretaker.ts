import type { Libp2p } from '@libp2p/interface'
import { CID } from 'multiformats/cid'
import type { Pins } from '../../storage/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Copies, Wanted } from './copies.ts'
import { MAX_COPIED_ROOTS, RESCAN_MS, ROOTS_AT_ONCE, SHORT_RETRY_MS } from './limits.ts'
import type { PolicyRecord } from './types.ts'

/** Names of pins that policies made: what is kept for others is theirs to have copied. */
const OWN_PINS = /^(policy|kept)\//
/** Pins read in one step on the event loop. */
const PAGE_ROWS = 250
/** Peers that come and go in a crowd are looked at together. */
const AFTER_CHANGE_MS = 1_000

export interface CaretakerOptions {
  copies: Copies
  libp2p: Pick<Libp2p, 'addEventListener' | 'removeEventListener'>
  pins: Pick<Pins, 'list'>
  policies: () => readonly PolicyRecord[]
  isPrivate: (cid: CID) => Promise<boolean>
  log: Logger
  now: () => number
  signal: AbortSignal
}

interface Root extends Wanted {
  againAtMs: number
  promised: number
}

/**
 * Decides when which root is looked after: each at its own time, those that are short of copies whenever somebody connects,
 * all whose holder goes. Sleeps in between.
 */
export class Caretaker {
  readonly #options: CaretakerOptions
  #roots = new Map<string, Root>()
  readonly #running = new Set<Promise<void>>()
  readonly #busy = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #scanning: Promise<void> | undefined
  #scanAgain = false
  #scannedAtMs = 0

  constructor(options: CaretakerOptions) {
    this.#options = options
  }

  start(): void {
    this.#options.libp2p.addEventListener('peer:identify', this.#onPeer)
    this.#options.libp2p.addEventListener('peer:disconnect', this.#onGone)
    this.scan()
  }

  async stop(): Promise<void> {
    this.#options.libp2p.removeEventListener('peer:identify', this.#onPeer)
    this.#options.libp2p.removeEventListener('peer:disconnect', this.#onGone)
    clearTimeout(this.#timer)
    await Promise.allSettled([this.#scanning, ...this.#running])
  }

  get shortRoots(): number {
    return [...this.#roots.values()].filter(({ promised, copies }) => promised < copies).length
  }

  /** What a policy looks after: everything, or one root. */
  figures(cid: string | undefined): { items: number; short: number; promised: number } {
    const roots = [...this.#roots.values()].filter((root) => cid === undefined || root.cid.toString() === cid)
    return {
      items: roots.length,
      short: roots.filter(({ promised, copies }) => promised < copies).length,
      promised: roots.reduce((sum, { promised }) => sum + promised, 0),
    }
  }

  /** Pins or policies have changed. */
  scan(): void {
    if (this.#scanning !== undefined) {
      this.#scanAgain = true
      return
    }
    this.#scanning = this.#scan()
      .catch((error: unknown) => {
        if (!this.#options.signal.aborted)
          this.#options.log.warn({ err: error }, 'pins could not be looked through for copies')
      })
      .finally(() => {
        this.#scanning = undefined
        if (this.#scanAgain && !this.#options.signal.aborted) {
          this.#scanAgain = false
          this.scan()
        } else this.#wake()
      })
  }

  readonly #onPeer = (): void => {
    for (const root of this.#roots.values())
      if (root.promised < root.copies) root.againAtMs = Math.min(root.againAtMs, this.#options.now())
    this.#sleep(AFTER_CHANGE_MS)
  }

  readonly #onGone = (event: CustomEvent<{ toString(): string }>): void => {
    const gone = event.detail.toString()
    const { copies } = this.#options
    let isConcerned = false
    for (const root of this.#roots.values()) {
      if (!copies.store.of(root.cid).some(({ peer }) => peer === gone)) continue
      root.againAtMs = Math.min(root.againAtMs, this.#options.now() + copies.graceMs)
      isConcerned = true
    }
    if (isConcerned) this.#sleepUntilDue()
  }

  async #scan(): Promise<void> {
    const { policies, isPrivate, copies, signal, now } = this.#options
    this.#scannedAtMs = now()
    const wanted = new Map<string, Wanted>()
    const want = (next: Wanted): void => {
      const key = next.cid.toString()
      const known = wanted.get(key)
      if (known === undefined && wanted.size >= MAX_COPIED_ROOTS) return
      const count = Math.max(known?.copies ?? 0, next.copies)
      wanted.set(key, { ...next, copies: count, minScore: Math.max(known?.minScore ?? 0, next.minScore) })
    }
    for (const { rule } of policies()) {
      if (rule.kind !== 'copies') continue
      const { copies: count, minScore } = rule
      if (rule.cid !== undefined) want({ cid: CID.parse(rule.cid), copies: count, minScore })
      else for await (const cid of this.#pinned()) want({ cid, copies: count, minScore })
    }
    const next = new Map<string, Root>()
    for (const [key, root] of wanted) {
      if (await isPrivate(root.cid)) continue
      const known = this.#roots.get(key)
      if (known?.copies === root.copies && known.minScore === root.minScore) next.set(key, known)
      else
        next.set(key, { ...root, againAtMs: this.#options.now(), promised: copies.store.of(root.cid).length })
    }
    this.#roots = next
    for (const cid of copies.store.roots(MAX_COPIED_ROOTS)) {
      if (next.has(cid.toString())) continue
      for (const copy of copies.store.of(cid)) await copies.giveBack(copy, signal)
    }
  }

  /** Roots that a person pinned with everything below them. */
  async *#pinned(): AsyncGenerator<CID> {
    for (let afterId: number | null = 0; afterId !== null; ) {
      const page: ReturnType<Pins['list']> = this.#options.pins.list({
        kind: 'recursive',
        limit: PAGE_ROWS,
        afterId,
      })
      for (const { cid, name, state } of page.pins) if (state === 'pinned' && !OWN_PINS.test(name)) yield cid
      afterId = page.nextAfterId
      await new Promise((resolve) => setImmediate(resolve))
      this.#options.signal.throwIfAborted()
    }
  }

  #sleep(ms: number): void {
    clearTimeout(this.#timer)
    if (this.#options.signal.aborted) return
    this.#timer = setTimeout(() => this.#wake(), Math.max(0, ms)).unref()
  }

  #sleepUntilDue(): void {
    const next = Math.min(
      ...[...this.#roots].filter(([key]) => !this.#busy.has(key)).map(([, { againAtMs }]) => againAtMs),
    )
    if (Number.isFinite(next)) this.#sleep(next - this.#options.now())
  }

  #wake(): void {
    if (this.#options.signal.aborted) return
    const nowMs = this.#options.now()
    // What a person unpinned is not told here, and need not be found out at once.
    if (this.#roots.size > 0 && nowMs - this.#scannedAtMs > RESCAN_MS) this.scan()
    for (const [key, root] of this.#roots) {
      if (this.#running.size >= ROOTS_AT_ONCE) return
      if (root.againAtMs > nowMs || this.#busy.has(key)) continue
      this.#busy.add(key)
      const work = this.#look(root).finally(() => {
        this.#busy.delete(key)
        this.#running.delete(work)
        this.#wake()
      })
      this.#running.add(work)
    }
    this.#sleepUntilDue()
  }

  async #look(root: Root): Promise<void> {
    const { copies, log, now, signal } = this.#options
    try {
      const { promised, againAtMs } = await copies.look(root, signal)
      root.promised = promised
      const soonMs = now() + SHORT_RETRY_MS
      root.againAtMs = promised < root.copies ? Math.min(againAtMs, soonMs) : againAtMs
    } catch (error) {
      if (signal.aborted) return
      root.againAtMs = now() + SHORT_RETRY_MS
      log.warn({ err: error, cid: root.cid.toString() }, 'copies of a root could not be looked after')
    }
  }
}
