import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence, Policy } from '../../src/trust/contract.ts'
import type { Bandwidth } from '../shared/bandwidth.ts'
import type { FairSlots } from '../shared/fair-slots.ts'
import { P2pnodeError } from '../shared/errors.ts'
import { Status } from '../shared/status.ts'
import type { DataHeader } from './data-frame.ts'
import { ChunkRefusedError } from './errors.ts'
import type { FrameStream } from './frame-stream.ts'
import type { ChunkLimits } from './limits.ts'
import type { FromClient } from './messages.ts'
import type { ChunkHolder } from './types.ts'

/** What the holder's side of every stream shares. */
export interface HolderContext {
  holder: ChunkHolder
  trust: Policy & Evidence
  bandwidth?: Bandwidth | undefined
  limits: ChunkLimits
  log: Logger
  /** Pieces in memory, over all streams of this node. */
  slots: FairSlots
  /** Takes a place for a column being stored; undefined where there is none. The function gives it back. */
  takeDraft(peer: string): (() => void) | undefined
  onSent(bytes: number): void
  onReceived(bytes: number): void
}

/** One use of an inbound stream: requests, stores one after another, or fetches one after another. */
export interface Session {
  onMessage(message: FromClient): void
  onData(header: DataHeader): Uint8Array
  onDataEnd(): void
  /** The client sends no more; what is under way is finished, then the stream is closed. */
  onClientEnd(): void
}

export interface SessionInit extends HolderContext {
  stream: FrameStream
}

/** What a peer is told of an error; what it is not told is in the log. */
export function statusOf(error: unknown, init: Pick<SessionInit, 'log' | 'stream'>): number {
  if (error instanceof ChunkRefusedError) return error.status
  if (error instanceof P2pnodeError && error.code === 'ERR_CHUNK_INVALID') return Status.invalid
  if (init.stream.isOpen) {
    init.log.warn({ peer: init.stream.peer, error: String(error) }, 'a request for columns failed here')
  }
  return Status.failed
}
