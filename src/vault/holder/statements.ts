import {
  decodeDeletion,
  decodeIndex,
  decodeLease,
  MAX_LEASE_MS,
} from '../../../protocols/chunk/format/index.ts'
import { ChunkRefusedError, ChunkStatus } from '../../../protocols/chunk/errors.ts'
import type { Deletion, Lease, SignedBytes, SlabIndex } from '../../../protocols/chunk/types.ts'
import type { Evidence } from '../../trust/contract.ts'
import { CLOCK_TOLERANCE_MS, TOMBSTONE_EXTRA_MS } from './limits.ts'

/** Checks what owners sign, by this node's clock; whoever brings what its slab did not sign leaves evidence. */
export class Statements {
  readonly #networkName: string
  readonly #trust: Evidence
  readonly #nowMs: () => number

  constructor(options: { networkName: string; trust: Evidence; nowMs: () => number }) {
    this.#networkName = options.networkName
    this.#trust = options.trust
    this.#nowMs = options.nowMs
  }

  /** @throws ChunkRefusedError: `invalid` */
  index(signed: SignedBytes, peer: string): SlabIndex {
    return this.#check('index', peer, () => decodeIndex(signed, this.#networkName))
  }

  /** A lease that still runs, and no longer than it may. @throws ChunkRefusedError: `invalid` */
  lease(signed: SignedBytes, peer: string): Lease {
    const lease = this.#check('lease', peer, () => decodeLease(signed, this.#networkName))
    const leftMs = lease.untilMs - this.#nowMs()
    if (leftMs <= 0 || leftMs > MAX_LEASE_MS + CLOCK_TOLERANCE_MS) {
      throw new ChunkRefusedError(ChunkStatus.invalid)
    }
    return lease
  }

  /** @throws ChunkRefusedError: `invalid` */
  deletion(signed: SignedBytes, peer: string): Deletion {
    const deletion = this.#check('deletion', peer, () => decodeDeletion(signed, this.#networkName))
    // One of a far future would be kept for ever.
    if (deletion.atMs > this.#nowMs() + CLOCK_TOLERANCE_MS) throw new ChunkRefusedError(ChunkStatus.invalid)
    return deletion
  }

  /** @throws ChunkRefusedError: `invalid`, with the cause where the slab's key did not sign it */
  #check<Statement>(what: string, peer: string, decode: () => Statement): Statement {
    try {
      return decode()
    } catch (cause) {
      this.#trust.report(peer, 'message-invalid', { protocol: 'chunk', what })
      throw new ChunkRefusedError(ChunkStatus.invalid, { cause })
    }
  }
}

/**
 * Until when a deletion is kept: from the time that stands in it, not from when it came, or peers would hand it to each
 * other for ever.
 */
export function keepDeletionUntilMs(deletion: Pick<Deletion, 'atMs'>): number {
  return deletion.atMs + MAX_LEASE_MS + TOMBSTONE_EXTRA_MS
}
