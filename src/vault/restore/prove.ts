import { randomInt } from 'node:crypto'
import type { PeerId } from '@libp2p/interface'
import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { Chunk, SlabIndex } from '../../../protocols/chunk/types.ts'
import type { Evidence } from '../../trust/contract.ts'
import type { ByteRate } from './byte-rate.ts'
import { AUDIT_TIMEOUT_MS } from './limits.ts'

/** Bytes of one leaf (docs/vault-format.md, Pieces). */
const LEAF_BYTES = 16 * 1024
/** A hash a level: 1 MiB has 64 leaves. */
const HASH_BYTES = 32

export type Verdict =
  | 'proven'
  /** It says that it has it not. */
  | 'not-held'
  /** What it sent is not what the owner signed. */
  | 'lied'
  /** No answer, or none now: no fault of anybody's that this node could prove. */
  | 'unreachable'

export interface ProverOptions {
  chunk: Pick<Chunk, 'audit' | 'peers'>
  trust: Evidence
  rate: ByteRate
  /** What audits may take of the network on this node. */
  bytesPerSecond: number
  /** A whole number from 0 up to below the bound; tests pass their own. */
  random?: (bound: number) => number
  /** How long an answer may take; tests pass their own. */
  timeoutMs?: number
  onAudit?: (verdict: Verdict, bytes: number) => void
}

/**
 * Challenges holders with a leaf that they cannot foresee, within a budget of bytes. Only those are challenged that have just
 * said to hold the column, so that to have it not is a lie as well as a wrong proof.
 */
export class Prover {
  readonly #options: ProverOptions

  constructor(options: ProverOptions) {
    this.#options = options
  }

  /** Resolves if the peer proved one random leaf of its column. @throws what `Chunk.audit` throws */
  async prove(peer: PeerId, index: SlabIndex, column: number, signal: AbortSignal): Promise<void> {
    const { chunk, trust, rate, bytesPerSecond, random = randomInt, onAudit } = this.#options
    const segment = random(index.sealedBytes.length)
    const pieceBytes = index.pieceBytes(segment)
    const leaves = Math.max(1, Math.ceil(pieceBytes / LEAF_BYTES))
    const leaf = random(leaves)
    const bytes = Math.min(LEAF_BYTES, pieceBytes) + Math.ceil(Math.log2(leaves)) * HASH_BYTES
    await rate.take(bytes, bytesPerSecond, signal)
    const patience = AbortSignal.timeout(this.#options.timeoutMs ?? AUDIT_TIMEOUT_MS)
    const within = AbortSignal.any([signal, patience])
    const audit = chunk.audit(peer, index, { column, segment, leaf }, within)
    const verdict = await verdictOf(audit)
    onAudit?.(verdict, bytes)
    const slab = slabKeyOf(index.slab)
    if (verdict === 'proven') trust.report(peer.toString(), 'audit-passed', { slab, column })
    if (verdict === 'lied' || verdict === 'not-held') {
      trust.report(peer.toString(), 'audit-failed', { slab, column, reason: verdict })
    }
    // Who is away cannot answer; who is here, and says to hold it, can.
    const isSilent = verdict === 'unreachable' && patience.aborted && !signal.aborted
    if (isSilent && chunk.peers().some((other) => other.equals(peer)))
      trust.report(peer.toString(), 'audit-unanswered', { slab, column })
    return audit
  }
}

export async function verdictOf(audit: Promise<void>): Promise<Verdict> {
  try {
    await audit
    return 'proven'
  } catch (error) {
    if (!(error instanceof P2pnodeError)) return 'unreachable'
    if (error.code === 'ERR_CHUNK_INVALID') return 'lied'
    return error.kind === 'not-found' ? 'not-held' : 'unreachable'
  }
}
