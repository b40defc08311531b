import { LRUCache } from 'lru-cache'
import type { SlabId } from '../../../protocols/chunk/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import { formatLink, verifyKey } from '../codec/index.ts'
import type { Link } from '../types.ts'
import { MAX_REPAIRED_LINKS } from './limits.ts'

/** A holder did not have what it said, or had wrong bytes. */
export interface MissingColumns {
  /** The link that was read. */
  link: Link
  slab: SlabId
  columns: number[]
}

export interface RepairOnReadOptions {
  /** Whether the link is to one of this owner's objects. Asked rarely; may be slow. */
  isOwn: (link: string) => boolean
  /** Begins to repair what the link (a verify link) leads to. */
  repair: (link: string) => Promise<unknown>
  /** A link is repaired at most once in this time: repairing takes a while, and a liar may lie on. */
  restMs: number
  log: Logger
  /** Milliseconds that never go back; other than the default only in tests. */
  now?: () => number
}

/**
 * What a read finds missing is repaired at once: whoever has lost a column, or lies, will not bring it back within any
 * grace. Only of this owner's objects; others' are looked after by their holders.
 */
export function createRepairOnRead(options: RepairOnReadOptions): (missing: MissingColumns) => void {
  const { isOwn, repair, restMs, log, now = () => performance.now() } = options
  const lastMs = new LRUCache<string, number>({ max: MAX_REPAIRED_LINKS })
  return ({ link }) => {
    if (link.power !== 'read') return
    const verify = formatLink({ power: 'verify', slab: link.slab, key: verifyKey(link.key) })
    const last = lastMs.get(verify)
    if (last !== undefined && now() - last < restMs) return
    lastMs.set(verify, now())
    if (!isOwn(formatLink(link))) return
    repair(verify).catch((error: unknown) => {
      log.warn({ error: String(error) }, 'what a read found missing could not be repaired')
    })
  }
}
