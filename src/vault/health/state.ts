import { repairThreshold } from '../restore/rules.ts'
import type { Health, SlabHealth } from '../types.ts'
import type { ProvenColumn } from './proofs.ts'

/** What is known of one slab. */
export interface MeasuredSlab {
  /** Lower-case hex. */
  id: string
  k: number
  n: number
  proofs: readonly ProvenColumn[]
}

/** Counts what is live: proven at `sinceMs` or later. */
export function slabHealth({ id, k, n, proofs }: MeasuredSlab, sinceMs: number): SlabHealth {
  const best = new Map<number, ProvenColumn>()
  let lastMs: number | undefined
  for (const proof of proofs) {
    if (proof.column >= n) continue
    lastMs = Math.max(lastMs ?? 0, proof.provenMs)
    const known = best.get(proof.column)
    if (known === undefined || known.provenMs < proof.provenMs) best.set(proof.column, proof)
  }
  const columns = Array.from({ length: n }, (_, column) => {
    const proof = best.get(column)
    return {
      column,
      peer: proof?.peer ?? null,
      live: proof !== undefined && proof.provenMs >= sinceMs,
    }
  })
  const live = columns.filter((column) => column.live).length
  return {
    id,
    k,
    n,
    live,
    lastAudit: lastMs === undefined ? null : new Date(lastMs).toISOString(),
    margin: live - k,
    columns,
  }
}

/** The worst of its slabs. */
export function stateOf(slabs: readonly SlabHealth[]): Health['state'] {
  let worst: Health['state'] = 'healthy'
  for (const slab of slabs) {
    const state = stateOfSlab(slab)
    if (ORDER.indexOf(state) > ORDER.indexOf(worst)) worst = state
  }
  return worst
}

const ORDER: Health['state'][] = ['healthy', 'degraded', 'critical', 'lost']

function stateOfSlab({ k, n, live }: SlabHealth): Health['state'] {
  if (live < k) return 'lost'
  if (live === n) return 'healthy'
  return live <= repairThreshold({ k, n }) ? 'critical' : 'degraded'
}
