import { redundancyProblem } from '../../../protocols/chunk/format/index.ts'
import type { Redundancy } from '../types.ts'
import { redundancyInvalid, tooFewHolders } from './errors.ts'

/** From here on four data pieces and four of parity: 2.0 times the size, and any four may be lost, as with five copies. */
export const CODED_FROM = 8
/** From here on the code is wide: the same 2.0 times, and any twenty of forty may be lost. */
const WIDE_FROM = 40
const MOST_COPIES = 5
/** One copy somewhere else is no redundancy. */
const LEAST_COPIES = 2

export function writtenForm({ k, n }: Redundancy): string {
  return k === 1 ? `copies:${n}` : `rs:${k}/${n}`
}

/** @throws ERR_REDUNDANCY_INVALID */
export function parseRedundancy(written: string): Redundancy | 'auto' {
  if (written === 'auto') return 'auto'
  const copies = /^copies:(\d{1,2})$/.exec(written)
  const coded = /^rs:(\d{1,2})\/(\d{1,2})$/.exec(written)
  const found =
    copies !== null
      ? { k: 1, n: Number(copies[1]) }
      : coded !== null
        ? { k: Number(coded[1]), n: Number(coded[2]) }
        : undefined
  if (found === undefined || redundancyProblem(found.k, found.n) !== undefined)
    throw redundancyInvalid(written)
  return found
}

/**
 * What a put uses, by how many holders are eligible (`reasons` says why others are not). Fixed from then on.
 *
 * @throws ERR_REDUNDANCY_INVALID, ERR_TOO_FEW_HOLDERS where fewer are eligible than it takes; with `allowDegraded` where
 * fewer are than it takes to read
 */
export function chooseRedundancy(
  written: string,
  eligible: number,
  allowDegraded: boolean,
  reasons: readonly string[] = [],
): Redundancy {
  const parsed = parseRedundancy(written)
  const wanted = parsed === 'auto' ? automatic(eligible) : parsed
  const needed = allowDegraded ? wanted.k : wanted.n
  if (eligible < needed)
    throw tooFewHolders({ needed, found: eligible, wanted: writtenForm(wanted), reasons })
  return wanted
}

function automatic(eligible: number): Redundancy {
  if (eligible >= WIDE_FROM) return { k: 20, n: 40 }
  if (eligible >= CODED_FROM) return { k: 4, n: 8 }
  return { k: 1, n: Math.min(MOST_COPIES, Math.max(LEAST_COPIES, eligible)) }
}
