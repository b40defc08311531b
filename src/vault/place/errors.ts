import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { REASONS_SHOWN } from './limits.ts'

export function redundancyInvalid(written: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_REDUNDANCY_INVALID',
    'usage',
    `"${written}" is no redundancy: write auto, copies:N (1 to 64) or rs:K/N with K < N and N at most 64`,
    { details: { written } },
  )
}

export function tooFewHolders(options: {
  needed: number
  found: number
  /** As it is written: `rs:4/8`. */
  wanted: string
  /** Why peers that are there are not eligible, each for itself. */
  reasons: readonly string[]
}): P2pnodeError {
  const { needed, found, wanted, reasons } = options
  const shown = reasons.slice(0, REASONS_SHOWN)
  const more = reasons.length - shown.length
  const others =
    reasons.length === 0
      ? 'no other peer that keeps columns is connected'
      : `not eligible: ${shown.join('; ')}${more > 0 ? `; and ${more} more` : ''}`
  return new P2pnodeError(
    'ERR_TOO_FEW_HOLDERS',
    'unavailable',
    `${wanted} needs ${needed} holders, ${found} ${found === 1 ? 'is' : 'are'} eligible (${others}). Connect to more peers that lend storage, choose another redundancy, or let the rest follow later with --allow-degraded`,
    { details: { needed, found, redundancy: wanted, reasons: shown } },
  )
}
