import { Pacer } from '../shared/pacer.ts'
import { Status } from '../shared/status.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { type AnswerBody, foundAnswers, heldAnswers } from './answers.ts'
import { encodeIndexHeader } from './data-frame.ts'
import { ChunkRefusedError } from './errors.ts'
import { encodeSigned } from './format/signed.ts'
import { slabKeyOf } from './format/slab-id.ts'
import {
  MAX_OPEN_REQUEST_BYTES,
  MAX_OPEN_REQUESTS,
  MAX_RUNNING_LOCATES,
  MAX_RUNNING_REQUESTS,
  MAX_STATEMENTS_PER_MESSAGE,
} from './limits.ts'
import { encode, type FromClient } from './messages.ts'
import { type ControlRequest, requestWeight } from './requests.ts'
import { type Session, type SessionInit, statusOf } from './session.ts'
import type { LocateQuery, SignedBytes, SlabId } from './types.ts'

interface OpenRequest {
  id: number
  request: ControlRequest | undefined
  weight: number
}

/** What goes back: a status, perhaps a body, and for an index its bytes, as a data frame before. */
interface Outcome {
  status: number
  body?: AnswerBody
  index?: SignedBytes
}

const NOT_HELD: Outcome = { status: Status.notFound }

/** The requests of one stream: a few are worked on at once, the others wait in their order. */
export class ControlSession implements Session {
  readonly #init: SessionInit
  readonly #open = new Set<number>()
  readonly #queue: OpenRequest[] = []
  #openBytes = 0
  #running = 0
  #locating = 0
  #writing = 0
  #clientHasEnded = false

  constructor(init: SessionInit) {
    this.#init = init
    const { stream, limits } = init
    stream.watch({
      timeoutMs: limits.unusedStreamMs,
      reason: 'unused',
      isWaiting: () => this.#open.size === 0,
    })
    stream.watch({
      timeoutMs: limits.clientIdleMs,
      reason: 'the client takes nothing',
      isWaiting: () => this.#writing > 0,
    })
  }

  onMessage(message: FromClient): void {
    if (message.kind !== 'request') {
      throw new ProtocolViolationError('wrong-order', 'a stream that is used for two things')
    }
    const { id, request } = message
    if (this.#open.has(id)) {
      throw new ProtocolViolationError('request-id-in-use', 'a request with the id of an open one')
    }
    const weight = requestWeight(request)
    this.#openBytes += weight
    if (this.#open.size >= MAX_OPEN_REQUESTS || this.#openBytes > MAX_OPEN_REQUEST_BYTES) {
      throw new ProtocolViolationError('too-many-requests', 'more open requests than a stream may have')
    }
    this.#open.add(id)
    this.#queue.push({ id, request, weight })
    this.#next()
  }

  onData(): never {
    throw new ProtocolViolationError('wrong-order', 'data among requests')
  }

  onDataEnd(): void {}

  onClientEnd(): void {
    this.#clientHasEnded = true
    if (this.#open.size === 0) void this.#init.stream.close()
  }

  #next(): void {
    while (this.#running < MAX_RUNNING_REQUESTS && this.#init.stream.isOpen) {
      const open = this.#queue.shift()
      if (open === undefined) return
      this.#running += 1
      void this.#serve(open)
    }
  }

  /** Never rejects. */
  async #serve({ id, request, weight }: OpenRequest): Promise<void> {
    const { stream } = this.#init
    try {
      const outcome = await this.#outcomeOf(request)
      if (!stream.isOpen) return
      this.#writing += 1
      // Forgotten before the answer is out: the client may use the id again once it has it.
      this.#open.delete(id)
      this.#openBytes -= weight
      await this.#write(id, outcome)
    } catch (error) {
      stream.fail(error)
      return
    } finally {
      this.#running -= 1
    }
    this.#writing -= 1
    if (this.#clientHasEnded && this.#open.size === 0) void stream.close()
    else this.#next()
  }

  async #write(id: number, { status, body, index }: Outcome): Promise<void> {
    const { writer, signal } = this.#init.stream
    if (index !== undefined) {
      const bytes = encodeSigned(index)
      // Both at once, so that no other answer comes between.
      await Promise.all([
        writer.write(encodeIndexHeader(id, bytes.length), bytes, signal),
        writer.write(encode.answer(id, status, body), undefined, signal),
      ])
      this.#init.onSent(bytes.length)
    } else await writer.write(encode.answer(id, status, body), undefined, signal)
    writer.flushSoon()
  }

  async #outcomeOf(request: ControlRequest | undefined): Promise<Outcome> {
    if (request === undefined) return { status: Status.unsupported }
    const { trust, stream } = this.#init
    const action = request.kind === 'capacity' ? 'store' : 'serve-chunk'
    // What an owner has signed proves itself, whoever brings it, and deletions are for everybody to know.
    const isSelfAuthenticating =
      request.kind === 'renew' || request.kind === 'delete' || request.kind === 'tombstones'
    if (!isSelfAuthenticating && !trust.decide(stream.peer, action, subjectOf(request)).allowed) {
      return { status: Status.refused }
    }
    try {
      return await this.#answer(request)
    } catch (error) {
      return { status: statusOf(error, this.#init) }
    }
  }

  async #answer(request: ControlRequest): Promise<Outcome> {
    const { holder, stream } = this.#init
    switch (request.kind) {
      case 'capacity':
        return ok({ kind: 'capacity', capacity: holder.capacity(stream.peer) })
      case 'have':
        return ok({ kind: 'held', columns: heldAnswers(request.slabs, holder.have(request.slabs)) })
      case 'index': {
        const index = await holder.index(request.slab)
        return index === undefined ? NOT_HELD : { status: Status.ok, index }
      }
      case 'lease': {
        const lease = holder.lease(request.slab)
        return lease === undefined ? NOT_HELD : ok({ kind: 'lease', lease })
      }
      case 'audit':
        return await this.#prove(request)
      case 'renew':
        return await this.#each(request.leases, (lease) => holder.renew(lease, stream.peer))
      case 'delete':
        return await this.#each(request.deletions, (deletion) => holder.remove(deletion, stream.peer))
      case 'tombstones': {
        const { deletions, next } = holder.tombstones(request.after, MAX_STATEMENTS_PER_MESSAGE)
        return ok({ kind: 'tombstones', deletions, next })
      }
      case 'claim': {
        const { slab, column, ttlMs } = request
        return ok({ kind: 'claimed', granted: holder.claim(slab, column, ttlMs, stream.peer) })
      }
      case 'hint':
        holder.hint(request.hint, stream.peer)
        return { status: Status.ok }
      case 'locate':
        return await this.#locate(request.query)
    }
  }

  async #prove(audit: { slab: SlabId; column: number; segment: number; leaf: number }): Promise<Outcome> {
    const { holder, slots, stream } = this.#init
    if (!holder.have([audit.slab]).some((held) => held.column === audit.column)) return this.#notHeld(audit)
    await slots.acquire(stream.peer, stream.signal)
    try {
      const proof = await holder.prove(audit.slab, audit.segment, audit.leaf)
      return proof === undefined ? this.#notHeld(audit) : ok({ kind: 'proof', proof })
    } finally {
      slots.release(stream.peer)
    }
  }

  /** Whoever is audited for what its owner deleted a moment ago shows the deletion: to say no more would look like a loss. */
  #notHeld({ slab }: { slab: SlabId }): Outcome {
    const deletion = this.#init.holder.tombstone(slab)
    return deletion === undefined ? NOT_HELD : ok({ kind: 'tombstones', deletions: [deletion], next: 0 })
  }

  /** One status a statement. */
  async #each(
    statements: readonly SignedBytes[],
    take: (signed: SignedBytes) => Promise<void>,
  ): Promise<Outcome> {
    const { stream } = this.#init
    const pacer = new Pacer()
    const statuses: number[] = []
    for (const signed of statements) {
      stream.signal.throwIfAborted()
      // A signature takes a tenth of a millisecond to be checked.
      await pacer.breathe()
      let status: number = Status.ok
      try {
        await take(signed)
      } catch (error) {
        status = statusOf(error, this.#init)
      }
      statuses.push(status)
    }
    return ok({ kind: 'statuses', statuses })
  }

  async #locate(query: LocateQuery): Promise<Outcome> {
    const { holder, stream, limits } = this.#init
    if (this.#locating >= MAX_RUNNING_LOCATES) throw new ChunkRefusedError(Status.busy)
    this.#locating += 1
    try {
      const signal = AbortSignal.any([stream.signal, AbortSignal.timeout(limits.requestTimeoutMs)])
      const found = await holder.locate(query, stream.peer, signal)
      return ok({ kind: 'located', found: foundAnswers(query.slabs, found) })
    } finally {
      this.#locating -= 1
    }
  }
}

function ok(body: AnswerBody): Outcome {
  return { status: Status.ok, body }
}

function subjectOf(request: ControlRequest): { slab: string } | undefined {
  return 'slab' in request ? { slab: slabKeyOf(request.slab) } : undefined
}
