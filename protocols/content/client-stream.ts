import type { Stream } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence } from '../../src/trust/contract.ts'
import type { Bandwidth } from '../shared/bandwidth.ts'
import { CreditGrants } from '../shared/credit-grants.ts'
import { P2pnodeError } from '../shared/errors.ts'
import { FrameReader } from '../shared/framing.ts'
import { IdleWatch } from '../shared/idle.ts'
import { Status } from '../shared/status.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { StreamWriter } from '../shared/writer.ts'
import { isBlockFrame, type ParsedBlockHeader, parseBlockHeader } from './data-frame.ts'
import { streamFailed } from './errors.ts'
import { keyOf, matches } from './hash.ts'
import { type ContentLimits, FRAME_COST_BYTES, MAX_OPEN_WANTS } from './limits.ts'
import { type DagWant, decodeFromServer, encode } from './messages.ts'
import { decodeCid } from '../shared/parse-ids.ts'

/** Who asked, and is told what comes of it. Exactly one of `onDone` and `onLost` is called, last. */
export interface WantListener {
  /** For a Want by root: whether this block may come now. False ends the stream: nobody asked for it. */
  accepts?(cid: CID): boolean
  /** A larger block ends the stream. */
  readonly maxBytes?: number | undefined
  /** A verified block. `creditBytes` are to be given back with `release` once the block has been dealt with. */
  onBlock(cid: CID, bytes: Uint8Array, creditBytes: number, isPrivate: boolean): void
  onMissing(cids: CID[]): void
  /** `rest`: asked for by CID and neither sent nor missing. */
  onDone(status: number, rest: CID[]): void
  /** The stream has ended. */
  onLost(error: Error, rest: CID[]): void
}

interface OpenWant {
  /** Undefined entries have been answered. Undefined for a Want by root. */
  cids: (CID | undefined)[] | undefined
  left: number
  listener: WantListener
  /** By the server's word: the blocks that come now. */
  isPrivate: boolean
}

/** The block that is arriving: frames of one block follow each other. */
interface Assembly {
  want: OpenWant
  wantId: number
  index: number | undefined
  cid: CID
  bytes: Uint8Array
  filledBytes: number
  creditBytes: number
}

export interface ClientStreamInit {
  stream: Stream
  /** Text form of the server's peer id. */
  peer: string
  trust: Evidence
  bandwidth?: Bandwidth | undefined
  limits: ContentLimits
  log: Logger
  onReceived: (bytes: number) => void
}

/** The client's end of one stream: asks, receives, verifies, grants credit. Any number of Wants may be open. */
export class ClientStream {
  readonly peer: string
  /** Called once, after every open Want was told. */
  onClose: (() => void) | undefined
  /** Bytes of blocks and parts of blocks that have come, good or not. */
  dataBytes = 0
  readonly #init: ClientStreamInit
  readonly #writer: StreamWriter
  readonly #window: CreditGrants
  readonly #ended = new AbortController()
  readonly #wants = new Map<number, OpenWant>()
  readonly #idle: IdleWatch
  #nextId = 1
  #assembly: Assembly | undefined
  /** The header between the two calls that a data frame takes. */
  #header: ParsedBlockHeader | undefined
  #closed = false

  constructor(init: ClientStreamInit) {
    this.#init = init
    this.peer = init.peer
    const { stream, limits } = init
    this.#idle = new IdleWatch({
      timeoutMs: limits.sourceIdleMs,
      // While we hold credit back the server may have nothing that it is allowed to send.
      isWaiting: () => this.#wants.size > 0 && this.#window.isAmple,
      onIdle: () => this.#fail(streamFailed('silent')),
    })
    this.#writer = new StreamWriter(stream, () => this.#idle.touch())
    this.#window = new CreditGrants({
      windowBytes: limits.creditWindowBytes,
      bandwidth: init.bandwidth,
      flow: { direction: 'in', peer: init.peer, protocol: 'content' },
      grant: (bytes) => this.#post(encode.credit(bytes)),
      isWanted: () => this.#wants.size > 0,
      signal: this.#ended.signal,
    })
    const reader = new FrameReader({
      payloadOffset: (head, frameBytes) => this.#payloadOffset(head, frameBytes),
      onMessage: (message) => this.#onMessage(message),
      onPayload: (_header, bytes) => this.#onPayload(bytes),
      onPayloadEnd: () => this.#onPayloadEnd(),
    })
    stream.addEventListener('message', ({ data }) => {
      if (this.#closed) return
      this.#idle.touch()
      try {
        reader.push(data)
      } catch (error) {
        this.#fail(error)
      }
    })
    const onServerEnd = (): void => {
      const cut = new ProtocolViolationError('truncated-frame', 'cut off in a frame')
      this.#fail(reader.atBoundary ? streamFailed('closed') : cut)
    }
    stream.addEventListener('end', () => {
      // A reset cuts frames too, and is nobody's fault; it has its own event.
      if (stream.status === 'open' || stream.status === 'closing') onServerEnd()
    })
    stream.addEventListener('close', () => this.#fail(streamFailed('closed')))
    const firstBytes = this.#window.first()
    if (firstBytes > 0) this.#post(encode.credit(firstBytes))
  }

  get isOpen(): boolean {
    return !this.#closed
  }

  get openWants(): number {
    return this.#wants.size
  }

  /** True while the server owes more than the word that it is done. */
  get isOwed(): boolean {
    for (const want of this.#wants.values()) if (want.cids === undefined || want.left > 0) return true
    return false
  }

  get isFull(): boolean {
    return this.#wants.size >= MAX_OPEN_WANTS
  }

  /** Asks for blocks by CID; at most MAX_CIDS_PER_MESSAGE, all of hash functions that can be verified. */
  wantCids(cids: CID[], listener: WantListener): number {
    const id = this.#open({ cids: [...cids], left: cids.length, listener, isPrivate: false })
    this.#post(encode.want({ kind: 'cids', id, cids, keepsMarks: true }))
    this.#window.wake()
    return id
  }

  wantDag(dag: Omit<DagWant, 'kind' | 'id'>, listener: WantListener): number {
    const id = this.#open({ cids: undefined, left: 0, listener, isPrivate: false })
    this.#post(encode.want({ ...dag, kind: 'dag', id, keepsMarks: true }))
    this.#window.wake()
    return id
  }

  /** Asks for blocks of the DAG `root` that the server may fetch from elsewhere; at most MAX_PROXY_CIDS. */
  wantByProxy(cids: CID[], root: CID, listener: WantListener): number {
    const id = this.#open({ cids: [...cids], left: cids.length, listener, isPrivate: false })
    this.#post(encode.want({ kind: 'cids', id, cids, proxyFor: root }))
    this.#window.wake()
    return id
  }

  /** Asks the server to leave out what it has not sent; the listener's `onDone` follows. */
  cancel(id: number): void {
    if (this.#wants.has(id)) this.#post(encode.cancel(id))
  }

  /** Gives back the credit of a block that has been dealt with. */
  release(creditBytes: number): void {
    if (!this.#closed) this.#window.release(creditBytes)
  }

  /** Ends the stream in order; Wants that are open are lost. */
  async close(): Promise<void> {
    if (this.#closed) return
    const { stream } = this.#init
    if (this.#wants.size > 0) {
      this.abort(streamFailed('closed here'))
      return
    }
    this.#end(streamFailed('closed here'))
    const deadline = setTimeout(
      () => stream.abort(streamFailed('closing takes too long')),
      this.#init.limits.sourceIdleMs,
    )
    try {
      await this.#writer.end()
      await stream.close()
    } catch (error) {
      stream.abort(error as Error)
    } finally {
      clearTimeout(deadline)
    }
  }

  /** Ends the stream at once, for reasons of our own. */
  abort(error: Error): void {
    if (this.#closed) return
    this.#end(error)
    this.#init.stream.abort(error)
  }

  /** Ends the stream because the peer does not do its part: that is evidence. */
  giveUp(reason: string): void {
    this.#fail(streamFailed(reason))
  }

  #open(want: OpenWant): number {
    if (this.#closed) throw streamFailed('closed')
    const id = this.#nextId++
    this.#wants.set(id, want)
    return id
  }

  #post(message: Uint8Array): void {
    try {
      this.#writer.post(message)
    } catch (error) {
      // Told from a task of its own, so that whoever asks has finished writing down what it asked for.
      queueMicrotask(() => this.#fail(error))
    }
  }

  #payloadOffset(head: Uint8Array, frameBytes: number): number | undefined {
    if (!isBlockFrame(head)) return undefined
    this.#header = parseBlockHeader(head, frameBytes)
    return this.#header.headerBytes
  }

  #onPayload(dataBytes: number): Uint8Array {
    const header = this.#header!
    const creditBytes = dataBytes + FRAME_COST_BYTES
    this.#window.receive(creditBytes)
    this.dataBytes += dataBytes
    const assembly = this.#assembly ?? this.#beginBlock(header)
    const isNext =
      assembly.wantId === header.want &&
      assembly.filledBytes === header.offset &&
      assembly.bytes.length === header.totalBytes &&
      assembly.index === header.index
    if (!isNext) throw new ProtocolViolationError('block-order', 'a part that does not continue its block')
    this.#assembly = assembly
    assembly.creditBytes += creditBytes
    assembly.filledBytes += dataBytes
    return assembly.bytes.subarray(header.offset, header.offset + dataBytes)
  }

  #beginBlock(header: ParsedBlockHeader): Assembly {
    const want = this.#wants.get(header.want)
    const cid = want === undefined ? undefined : namedBlock(want, header)
    if (want === undefined || cid === undefined) {
      throw new ProtocolViolationError('unrequested-block', 'a block that was not asked for')
    }
    if (header.totalBytes > (want.listener.maxBytes ?? Infinity))
      throw new ProtocolViolationError('oversize-block', 'a larger block than was announced')
    // Not zeroed, and not a part of a shared pool: it is filled before anybody sees it, and may be kept for long.
    const bytes = Buffer.allocUnsafeSlow(header.totalBytes)
    return { want, wantId: header.want, index: header.index, cid, bytes, filledBytes: 0, creditBytes: 0 }
  }

  #onPayloadEnd(): void {
    const assembly = this.#assembly!
    if (assembly.filledBytes < assembly.bytes.length) return
    this.#assembly = undefined
    const { want, index, cid, bytes, creditBytes } = assembly
    if (!matches(cid, bytes)) {
      this.#init.trust.report(this.peer, 'block-invalid', { cid: cid.toString() })
      throw new P2pnodeError('ERR_BLOCK_INVALID', 'verification', `a wrong block for ${cid.toString()}`)
    }
    if (want.cids !== undefined && index !== undefined) {
      want.cids[index] = undefined
      want.left -= 1
    }
    this.#init.onReceived(bytes.length)
    want.listener.onBlock(cid, bytes, creditBytes, want.isPrivate)
  }

  #onMessage(bytes: Uint8Array): void {
    const message = decodeFromServer(bytes)
    const want = message.kind === 'capabilities' ? undefined : this.#wants.get(message.want)
    if (message.kind === 'capabilities' || want === undefined || this.#assembly !== undefined) {
      throw new ProtocolViolationError('unrequested-answer', 'an answer out of order, or to no question')
    }
    if (message.kind === 'mark') {
      want.isPrivate = message.private
      return
    }
    if (message.kind === 'missing') {
      takeMissing(want, message.cids)
      want.listener.onMissing(message.cids)
      return
    }
    if (message.reason === Status.ok && want.left > 0) {
      throw new ProtocolViolationError('false-done', 'all is said to be sent, and is not')
    }
    this.#wants.delete(message.want)
    want.listener.onDone(message.reason, unanswered(want))
  }

  #fail(error: unknown): void {
    if (this.#closed) return
    const reason = error instanceof Error ? error : new Error(String(error))
    const hadWants = this.#wants.size > 0
    if (reason instanceof ProtocolViolationError) {
      this.#init.trust.report(this.peer, 'protocol-violation', { protocol: 'content', rule: reason.rule })
    } else if (hadWants && reason instanceof P2pnodeError && reason.code === 'ERR_STREAM_FAILED') {
      this.#init.trust.report(this.peer, 'transfer-failed', { reason: String(reason.details['reason']) })
    }
    this.#init.log.debug({ peer: this.peer, error: reason.message }, 'content stream ended')
    this.#end(reason)
    this.#init.stream.abort(reason)
  }

  #end(reason: Error): void {
    this.#closed = true
    this.#ended.abort(reason)
    this.#idle.stop()
    this.#assembly = undefined
    const wants = [...this.#wants.values()]
    this.#wants.clear()
    for (const want of wants) want.listener.onLost(reason, unanswered(want))
    this.onClose?.()
  }
}

function namedBlock(want: OpenWant, header: ParsedBlockHeader): CID | undefined {
  if (want.cids !== undefined) return header.index === undefined ? undefined : want.cids[header.index]
  if (header.cid === undefined) return undefined
  const cid = decodeCid(header.cid)
  return want.listener.accepts?.(cid) === true ? cid : undefined
}

/** Each CID of a Missing answers one that was asked and had no answer. */
function takeMissing(want: OpenWant, missing: CID[]): void {
  if (want.cids === undefined) return
  const places = new Map<string, number>()
  for (const [index, cid] of want.cids.entries()) if (cid !== undefined) places.set(keyOf(cid), index)
  for (const cid of missing) {
    const index = places.get(keyOf(cid))
    if (index === undefined) {
      throw new ProtocolViolationError('unrequested-answer', 'missing is what was not asked for')
    }
    places.delete(keyOf(cid))
    want.cids[index] = undefined
    want.left -= 1
  }
}

function unanswered(want: OpenWant): CID[] {
  return want.cids?.filter((cid) => cid !== undefined) ?? []
}
