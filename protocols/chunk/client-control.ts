import type { Stream } from '@libp2p/interface'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence } from '../../src/trust/contract.ts'
import type { Bandwidth } from '../shared/bandwidth.ts'
import { P2pnodeError } from '../shared/errors.ts'
import { MAX_CONTROL_MESSAGE_BYTES } from '../shared/limits.ts'
import { Status } from '../shared/status.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import type { AnswerBody } from './answers.ts'
import type { DataHeader } from './data-frame.ts'
import { ChunkRefusedError, cancelled, streamFailed } from './errors.ts'
import { FrameStream } from './frame-stream.ts'
import {
  type ChunkLimits,
  MAX_OPEN_REQUEST_BYTES,
  MAX_OPEN_REQUESTS,
  MAX_WAITING_REQUESTS,
} from './limits.ts'
import { decodeFromServer, encode } from './messages.ts'
import { type ControlRequest, requestWeight } from './requests.ts'

/** Ids are uint32. */
const MAX_ID = 0xffff_ffff

/** Requests that were given up and are still not answered, of the 64 that may be open. */
const MAX_OVERDUE = 16

/** What came of a request that was answered with `ok`. */
export interface ControlAnswer {
  body: AnswerBody | undefined
  /** The bytes of an index, not yet checked. */
  index: Uint8Array | undefined
}

interface OpenRequest {
  kind: ControlRequest['kind']
  /** Entries of the question's list, which those of the answer refer to. */
  entries: number
  weight: number
  index: Uint8Array | undefined
  isOverdue: boolean
  settle: () => void
  resolve: (answer: ControlAnswer) => void
  reject: (error: Error) => void
}

/** Which bodies answer which request; `undefined`: none. */
const BODIES: Record<ControlRequest['kind'], readonly (AnswerBody['kind'] | undefined)[]> = {
  capacity: ['capacity'],
  have: ['held'],
  index: [undefined],
  lease: ['lease'],
  audit: ['proof', 'tombstones'],
  renew: ['statuses'],
  delete: ['statuses'],
  tombstones: ['tombstones'],
  claim: ['claimed'],
  hint: [undefined],
  locate: ['located'],
}
const NO_BODY: readonly undefined[] = [undefined]

export interface ClientStreamInit {
  stream: Stream
  /** Text form of the holder's peer id. */
  peer: string
  trust: Evidence
  bandwidth?: Bandwidth | undefined
  limits: ChunkLimits
  log: Logger
  onSent: (bytes: number) => void
  onReceived: (bytes: number) => void
}

/** The asking end of a stream of requests: many callers share it, and answers come in any order. */
export class ControlStream {
  /** Called once, when the stream has ended. */
  onClose: (() => void) | undefined
  readonly #init: ClientStreamInit
  readonly #stream: FrameStream
  readonly #open = new Map<number, OpenRequest>()
  readonly #waiting: (() => void)[] = []
  #openBytes = 0
  #nextId = 1
  #overdue = 0
  #indexFor: OpenRequest | undefined

  constructor(init: ClientStreamInit) {
    this.#init = init
    this.#stream = new FrameStream({
      ...init,
      handlers: {
        onMessage: (message) => this.#onMessage(message),
        onData: (header) => this.#onData(header),
        onDataEnd: () => this.#onDataEnd(),
        onRemoteEnd: () => this.#stream.fail(streamFailed('closed')),
        onEnd: (reason) => this.#onEnd(reason),
      },
    })
    this.#stream.watch({
      timeoutMs: init.limits.holderIdleMs,
      reason: 'silent',
      isWaiting: () => this.#open.size > 0,
    })
  }

  get isOpen(): boolean {
    return this.#stream.isOpen
  }

  get isIdle(): boolean {
    return this.#open.size === 0 && this.#waiting.length === 0
  }

  close(): void {
    void this.#stream.close()
  }

  abort(error: Error): void {
    this.#stream.fail(error)
  }

  /**
   * @throws ChunkRefusedError for any status but `ok`, ERR_STREAM_FAILED, ERR_REQUEST_TIMEOUT, ERR_CANCELLED, ERR_BUSY
   *   where too many wait already
   */
  async request(request: ControlRequest, signal: AbortSignal): Promise<ControlAnswer> {
    const id = this.#nextId
    this.#nextId = (id % MAX_ID) + 1
    const message = encode.request(id, request)
    if (message.length > MAX_CONTROL_MESSAGE_BYTES) throw new RangeError('a request that is too long')
    const weight = requestWeight(request)
    while (this.#isFull(weight)) await this.#turn(signal)
    if (signal.aborted) throw cancelled(signal.reason)
    if (!this.isOpen) throw streamFailed('closed')
    return await this.#send(id, { request, weight, message }, signal)
  }

  /**
   * An answer may come long after nobody waits for it: its request stays open, so that the bound holds. A stream on which
   * too many were never answered is of no use.
   */
  #send(
    id: number,
    { request, weight, message }: { request: ControlRequest; weight: number; message: Uint8Array },
    signal: AbortSignal,
  ): Promise<ControlAnswer> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(cancelled(signal.reason))
      const timer = setTimeout(() => {
        signal.removeEventListener('abort', onAbort)
        reject(new P2pnodeError('ERR_REQUEST_TIMEOUT', 'timeout', 'the peer does not answer the request'))
        open.isOverdue = true
        this.#overdue += 1
        if (this.#overdue > MAX_OVERDUE) this.#stream.fail(streamFailed('requests are not answered'))
      }, this.#init.limits.requestTimeoutMs)
      timer.unref()
      signal.addEventListener('abort', onAbort, { once: true })
      const open: OpenRequest = {
        kind: request.kind,
        entries: entriesOf(request),
        weight,
        index: undefined,
        isOverdue: false,
        settle: () => {
          clearTimeout(timer)
          signal.removeEventListener('abort', onAbort)
          if (open.isOverdue) this.#overdue -= 1
        },
        resolve,
        reject,
      }
      this.#open.set(id, open)
      this.#openBytes += weight
      // A peer that has nothing to do is not silent.
      if (this.#open.size === 1) this.#stream.touch()
      this.#stream.post(message)
    })
  }

  #isFull(weight: number): boolean {
    if (!this.isOpen) return false
    return this.#open.size >= MAX_OPEN_REQUESTS || this.#openBytes + weight > MAX_OPEN_REQUEST_BYTES
  }

  #turn(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length >= MAX_WAITING_REQUESTS) {
      throw new P2pnodeError('ERR_BUSY', 'busy', 'too many requests to this peer wait already')
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(take), 1)
        reject(cancelled(signal.reason))
      }
      const take = (): void => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      }
      if (signal.aborted) {
        reject(cancelled(signal.reason))
        return
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(take)
    })
  }

  #onData(header: DataHeader): Uint8Array {
    const open = header.kind === 'index' ? this.#open.get(header.id) : undefined
    if (open === undefined || open.kind !== 'index' || open.index !== undefined) throw unrequested()
    open.index = Buffer.allocUnsafeSlow(header.dataBytes)
    this.#indexFor = open
    return open.index
  }

  #onDataEnd(): void {
    this.#init.onReceived(this.#indexFor!.index!.length)
  }

  #onMessage(bytes: Uint8Array): void {
    const answer = decodeFromServer(bytes)
    const open = answer.kind === 'answer' ? this.#open.get(answer.id) : undefined
    if (answer.kind !== 'answer' || open === undefined) throw unrequested()
    const { status, body } = answer
    const isOk = status === Status.ok
    const expected = isOk ? BODIES[open.kind] : NO_BODY
    const hasIndex = open.index !== undefined
    const fits = body === undefined || refersTo(body, open.entries)
    if (!fits || !expected.includes(body?.kind) || hasIndex !== (isOk && open.kind === 'index')) {
      throw new ProtocolViolationError('wrong-answer', 'an answer that does not fit its request')
    }
    this.#open.delete(answer.id)
    this.#openBytes -= open.weight
    open.settle()
    // Two, as the first may be one that does not fit yet.
    for (const take of this.#waiting.splice(0, 2)) take()
    if (isOk) open.resolve({ body, index: open.index })
    else open.reject(new ChunkRefusedError(status))
  }

  #onEnd(reason: Error): void {
    const open = [...this.#open.values()]
    this.#open.clear()
    this.#openBytes = 0
    const error = reason instanceof P2pnodeError ? reason : streamFailed('failed', reason)
    for (const request of open) {
      request.settle()
      request.reject(error)
    }
    for (const take of this.#waiting.splice(0)) take()
    this.onClose?.()
  }
}

function entriesOf(request: ControlRequest): number {
  switch (request.kind) {
    case 'have':
      return request.slabs.length
    case 'locate':
      return request.query.slabs.length
    case 'renew':
      return request.leases.length
    case 'delete':
      return request.deletions.length
    default:
      return 0
  }
}

/** Whether the answer speaks of what was asked, and of nothing else. */
function refersTo(body: AnswerBody, entries: number): boolean {
  switch (body.kind) {
    case 'held':
      return body.columns.every(({ slab }) => slab < entries)
    case 'located':
      return body.found.every(({ slab }) => slab < entries)
    case 'statuses':
      return body.statuses.length === entries
    default:
      return true
  }
}

function unrequested(): ProtocolViolationError {
  return new ProtocolViolationError('unrequested-answer', 'an answer to no question')
}
