import { BroughtElsewhere } from '../../../protocols/content/errors.ts'
import type { Candidate, Outcome } from '../router/types.ts'
import { MAX_TALLIED_SOURCES } from './limits.ts'

interface Counted {
  source: Candidate
  served: number
  missing: number
  failed: number
  invalid: number
  bytes: number
  /** Asked for something at the moment, and since when. */
  pending: number
  busySinceMs: number
  busyMs: number
  latencyMs: number | null
}

/** What came of one question that was not answered with bytes. */
export type Miss = Exclude<Outcome['result'], 'served'>

/** How the sources of one step do in one fetch: what the router is told of each when it ends. */
export class Tally {
  readonly #headStartMs: number
  readonly #sources = new Map<string, Counted>()
  #hasEnded = false

  /** @param headStartMs who was asked for longer when another one brought it was too slow */
  constructor(headStartMs = Infinity) {
    this.#headStartMs = headStartMs
  }

  /**
   * Asks and counts. Undefined says nothing of the source; what an error says of it `judge` tells, but for being called off.
   * @throws what `fetch` throws
   */
  async ask<Bytes extends Uint8Array | undefined>(
    source: Candidate,
    signal: AbortSignal,
    fetch: () => Promise<Bytes>,
    judge: (error: unknown) => Miss,
  ): Promise<Bytes> {
    const counted = this.#counted(source)
    const startMs = performance.now()
    if (counted.pending === 0) counted.busySinceMs = startMs
    counted.pending += 1
    try {
      const bytes = await fetch()
      if (bytes !== undefined) {
        counted.served += 1
        counted.bytes += bytes.length
        counted.latencyMs ??= performance.now() - startMs
      }
      return bytes
    } catch (error) {
      const isSlow = performance.now() - startMs > this.#headStartMs
      if (!signal.aborted) counted[judge(error)] += 1
      else if (isSlow && signal.reason instanceof BroughtElsewhere) counted.failed += 1
      throw error
    } finally {
      counted.pending -= 1
      if (counted.pending === 0) counted.busyMs += performance.now() - counted.busySinceMs
    }
  }

  /** One outcome for each source that has shown something. What ends later counts no more. */
  end(): Outcome[] {
    if (this.#hasEnded) return []
    this.#hasEnded = true
    return [...this.#sources.values()].flatMap((counted) => {
      const result = resultOf(counted)
      if (result === undefined) return []
      const { source, bytes, busyMs, pending, busySinceMs, latencyMs } = counted
      const transferMs = busyMs + (pending > 0 ? performance.now() - busySinceMs : 0)
      return [{ ...source, result, bytes, transferMs, latencyMs }]
    })
  }

  #counted(source: Candidate): Counted {
    const known = this.#sources.get(source.id)
    if (known !== undefined) return known
    const counted = {
      source,
      served: 0,
      missing: 0,
      failed: 0,
      invalid: 0,
      bytes: 0,
      pending: 0,
      busySinceMs: 0,
      busyMs: 0,
      latencyMs: null,
    }
    if (this.#sources.size < MAX_TALLIED_SOURCES) this.#sources.set(source.id, counted)
    return counted
  }
}

/** One slow block among many that came is bad luck; wrong bytes never are. */
function resultOf({ served, missing, failed, invalid }: Counted): Outcome['result'] | undefined {
  if (invalid > 0) return 'invalid'
  if (failed > served) return 'failed'
  if (served > 0) return 'served'
  return missing > 0 ? 'missing' : undefined
}
