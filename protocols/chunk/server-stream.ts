import type { Stream } from '@libp2p/interface'
import { ProtocolViolationError } from '../shared/violation.ts'
import { streamFailed } from './errors.ts'
import { FrameStream } from './frame-stream.ts'
import { decodeFromClient, type FromClient } from './messages.ts'
import { ControlSession } from './server-control.ts'
import { FetchSession } from './server-fetch.ts'
import { StoreSession } from './server-store.ts'
import type { HolderContext, Session, SessionInit } from './session.ts'

export type StreamUse = 'control' | 'store' | 'fetch'

const SESSIONS: Record<StreamUse, new (init: SessionInit) => Session> = {
  control: ControlSession,
  store: StoreSession,
  fetch: FetchSession,
}

/** An inbound stream: what it is used for is what its first message is, and stays so. */
export class ServerStream {
  readonly #context: HolderContext
  readonly #stream: FrameStream
  readonly #mayBe: (use: StreamUse) => boolean
  #session: Session | undefined
  #use: StreamUse | undefined

  constructor(
    stream: Stream,
    peer: string,
    context: HolderContext,
    owner: { mayBe: (use: StreamUse) => boolean; onEnd: () => void },
  ) {
    this.#context = context
    this.#mayBe = owner.mayBe
    this.#stream = new FrameStream({
      stream,
      peer,
      trust: context.trust,
      log: context.log,
      handlers: {
        onMessage: (message) => this.#onMessage(decodeFromClient(message)),
        onData: (header) => this.#known().onData(header),
        onDataEnd: () => this.#known().onDataEnd(),
        onRemoteEnd: () => {
          if (this.#session === undefined) void this.#stream.close()
          else this.#session.onClientEnd()
        },
        onEnd: owner.onEnd,
      },
    })
    this.#stream.watch({
      timeoutMs: context.limits.unusedStreamMs,
      isWaiting: () => this.#session === undefined,
      reason: 'unused',
    })
  }

  get use(): StreamUse | undefined {
    return this.#use
  }

  abort(error: Error): void {
    this.#stream.fail(error)
  }

  #onMessage(message: FromClient): void {
    this.#session ??= this.#begin(message)
    this.#session?.onMessage(message)
  }

  #begin(message: FromClient): Session | undefined {
    if (message.kind === 'credit') throw outOfOrder()
    const use = message.kind === 'request' ? 'control' : message.kind
    if (!this.#mayBe(use)) {
      this.#stream.fail(streamFailed('too many streams of this use'))
      return undefined
    }
    this.#use = use
    return new SESSIONS[use]({ ...this.#context, stream: this.#stream })
  }

  #known(): Session {
    if (this.#session === undefined) throw outOfOrder()
    return this.#session
  }
}

function outOfOrder(): ProtocolViolationError {
  return new ProtocolViolationError('wrong-order', 'a message before the one that it belongs to')
}
