import type { IpfsSide } from '../../../protocols/content/types.ts'

interface Outward {
  readonly outBytesPerSecond: number
}

/** What one peer can get at most, going by all the limits there are; null: none. */
export function bandwidthTold(limits: {
  readonly global: Outward
  readonly perPeer: Outward
  readonly protocols: { readonly content: Outward }
}): number | null {
  const least = Math.min(
    limits.global.outBytesPerSecond,
    limits.perPeer.outBytesPerSecond,
    limits.protocols.content.outBytesPerSecond,
  )
  return Number.isFinite(least) ? Math.floor(least) : null
}

/** How a node with these steps reaches IPFS. */
export function ipfsSide(steps: { readonly ipfs: boolean; readonly gateways: boolean }): IpfsSide {
  if (steps.ipfs) return 'helia'
  return steps.gateways ? 'gateway-only' : 'none'
}
