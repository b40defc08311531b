import { CID } from 'multiformats/cid'
import type { Logger } from '../../telemetry/types.ts'
import type { BlockStore } from '../blocks/internal.ts'
import type { Writer } from '../blocks/writer.ts'
import { cancelled, storageClosed } from '../errors.ts'
import type { Pin, PinKind, Pins } from '../types.ts'
import { pinIncomplete, pinNameTooLong, pinNotFound, pinRemoved, pinUnwalkable } from './errors.ts'
import { referenceKey } from './links.ts'
import type { AddArgs, AddReply, CancelReply, RemoveArgs, RemoveReply } from './operations.ts'
import { createPinReader, type PinReader, toPin } from './pin-reader.ts'
import { kindCode, type PinRow, STATE_PINNED, STATE_WAITING, STATE_WALKING } from './states.ts'
import { createWaiters } from './waiters.ts'
import type { StepResult, WalkEvent } from './walk.ts'

/** Names are labels for people; this holds any path or title. */
const MAX_NAME_BYTES = 1_024

/** After a step failed (a full disk, most likely) the walk tries again after this, doubled each time up to the limit. */
const RETRY_MS = 1_000
const RETRY_LIMIT_MS = 60_000

export interface PinSet extends Pins {
  /**
   * Goes on in the background with what an earlier run, or a failure to read a block, left unfinished. To be called when
   * the store is opened, and after blocks were healed.
   */
  resume(): Promise<void>
  /** Calls back whenever something has been pinned or let go of, until the function that it returns is called. */
  onChange(listener: () => void): () => void
  /** Stops walking after the step under way; the next `resume` goes on from there. Callers that wait get ERR_STORAGE_CLOSED. */
  close(): Promise<void>
}

/**
 * The pin set. Everything durable happens in the writer thread (operations.ts, walk.ts); this side drives the walk step
 * by step, so that puts get their turn in between, and tells callers what became of their pins.
 */
export function createPins(options: {
  writer: Writer
  blocks: Pick<BlockStore, 'reader'>
  log: Logger
  now?: () => number
}): PinSet {
  return new WalkedPins(
    options.writer,
    createPinReader(options.blocks.reader),
    options.log,
    options.now ?? Date.now,
  )
}

interface AddOptions {
  name?: string
  kind: PinKind
  signal: AbortSignal
  onProgress?: (blocks: number) => void
}

class WalkedPins implements PinSet {
  readonly #writer: Writer
  readonly #reader: PinReader
  readonly #log: Logger
  readonly #now: () => number
  readonly #adding = createWaiters()
  readonly #removing = createWaiters()
  /** Callers of `add` by pin, from before they ask the writer: the last one to give up takes the pin with it. */
  readonly #callers = new Map<string, number>()
  readonly #progress = new Map<number, { blocks: number; listeners: Set<(blocks: number) => void> }>()
  readonly #listeners = new Set<() => void>()
  readonly #closing = new AbortController()
  #driving: Promise<void> | undefined
  #wanted = false
  #anomalies = 0

  constructor(writer: Writer, reader: PinReader, log: Logger, now: () => number) {
    this.#writer = writer
    this.#reader = reader
    this.#log = log
    this.#now = now
  }

  async add(cid: CID, { name = '', kind, signal, onProgress }: AddOptions): Promise<Pin> {
    this.#assertOpen()
    if (signal.aborted) throw cancelled(signal.reason)
    if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw pinNameTooLong(MAX_NAME_BYTES)
    const args: AddArgs = { cid: referenceKey(cid), name, kind: kindCode(kind), nowMs: this.#now() }
    const caller = `${args.kind} ${cid.toV1().toString()} ${name}`
    this.#callers.set(caller, (this.#callers.get(caller) ?? 0) + 1)
    try {
      const { pin, revived } = await this.#writer.call<AddReply>('pins.add', args)
      if (revived) this.#removing.resolve(pin.id)
      if (pin.state === STATE_PINNED) {
        this.#changed()
        return toPin(pin)
      }
      this.#kick()
      await this.#untilPinned(pin, caller, signal, onProgress)
      return { ...toPin(pin), state: 'pinned' }
    } finally {
      this.#leave(caller)
    }
  }

  async #untilPinned(
    pin: PinRow,
    caller: string,
    signal: AbortSignal,
    onProgress: ((blocks: number) => void) | undefined,
  ): Promise<void> {
    const unlisten = this.#listen(pin.id, onProgress)
    try {
      const outcome = await this.#adding.wait(pin.id, signal)
      if (outcome === 'settled') return
      // The signal aborted. Only the last caller who waits for this pin undoes it, and only if it is not finished.
      if (this.#callers.get(caller) === 1) {
        const reply = await this.#writer.call<CancelReply>('pins.cancel', { id: pin.id })
        this.#kick()
        if (reply === 'finished') return
      }
      throw cancelled(signal.reason)
    } finally {
      unlisten()
    }
  }

  async remove(cid: CID, options: { name?: string; kind?: PinKind; signal: AbortSignal }): Promise<Pin[]> {
    this.#assertOpen()
    const { signal } = options
    if (signal.aborted) throw cancelled(signal.reason)
    const args: RemoveArgs = {
      cid: referenceKey(cid),
      name: options.name ?? null,
      kind: options.kind === undefined ? null : kindCode(options.kind),
    }
    const { pins } = await this.#writer.call<RemoveReply>('pins.remove', args)
    if (pins.length === 0) throw pinNotFound(cid.toString())
    this.#changed()
    const pending: number[] = []
    for (const entry of pins) {
      if (entry.pin.state === STATE_WAITING || entry.pin.state === STATE_WALKING) {
        this.#adding.reject(entry.pin.id, pinRemoved(cid.toString()))
      }
      if (entry.pending) pending.push(entry.pin.id)
    }
    if (pending.length > 0) {
      this.#kick()
      const outcomes = await Promise.all(pending.map((id) => this.#removing.wait(id, signal)))
      if (outcomes.includes('aborted')) throw cancelled(signal.reason)
    }
    return pins.map(({ pin }) => ({ ...toPin(pin), state: 'unpinning' }))
  }

  list(options: Parameters<Pins['list']>[0] = {}): ReturnType<Pins['list']> {
    this.#assertOpen()
    return this.#reader.list(options)
  }

  state(cid: CID): ReturnType<Pins['state']> {
    this.#assertOpen()
    return this.#reader.state(cid)
  }

  count(): number {
    this.#assertOpen()
    return this.#reader.count()
  }

  references(options: Parameters<Pins['references']>[0]): CID[] {
    this.#assertOpen()
    return this.#reader.references(options)
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }

  async resume(): Promise<void> {
    this.#assertOpen()
    await this.#writer.call('pins.retry', {})
    this.#kick()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#adding.rejectAll(storageClosed())
    this.#removing.rejectAll(storageClosed())
    await this.#driving
  }

  #assertOpen(): void {
    if (this.#closing.signal.aborted) throw storageClosed()
  }

  #leave(caller: string): void {
    const callers = this.#callers.get(caller) ?? 0
    if (callers <= 1) this.#callers.delete(caller)
    else this.#callers.set(caller, callers - 1)
  }

  #listen(pin: number, listener: ((blocks: number) => void) | undefined): () => void {
    if (listener === undefined) return () => {}
    const progress = this.#progress.get(pin) ?? { blocks: 0, listeners: new Set() }
    this.#progress.set(pin, progress)
    progress.listeners.add(listener)
    return () => {
      progress.listeners.delete(listener)
      if (progress.listeners.size === 0 && this.#progress.get(pin) === progress) this.#progress.delete(pin)
    }
  }

  #kick(): void {
    this.#wanted = true
    if (this.#closing.signal.aborted) return
    this.#driving ??= this.#drive().finally(() => {
      this.#driving = undefined
      if (this.#wanted) this.#kick()
    })
  }

  /** Steps until nothing is left to do. Every step is a call of its own, behind whatever else waits for the writer. */
  async #drive(): Promise<void> {
    let retryMs = RETRY_MS
    let failure: unknown
    while (this.#wanted && !this.#closing.signal.aborted) {
      this.#wanted = false
      try {
        if (failure !== undefined) await this.#giveUp(failure)
        failure = undefined
        const result = await this.#writer.call<StepResult>('pins.step', {})
        this.#tell(result)
        this.#wanted ||= result.more
        retryMs = RETRY_MS
      } catch (error) {
        if (this.#closing.signal.aborted) return
        // Callers are told now, since it may take until someone makes room; their pins are undone as soon as that works.
        this.#log.warn({ err: error, retryMs }, 'pins cannot be walked for now')
        this.#adding.rejectAll(error)
        this.#removing.rejectAll(error)
        this.#wanted = true
        failure = error
        await pause(retryMs, this.#closing.signal)
        retryMs = Math.min(retryMs * 2, RETRY_LIMIT_MS)
      }
    }
  }

  /**
   * After a step failed, for want of room most likely: undoes what is not pinned yet, which takes less room than going on,
   * so that it does not keep the collector waiting, which could make some.
   */
  async #giveUp(reason: unknown): Promise<void> {
    const given = await this.#writer.call<number[]>('pins.giveUp', {})
    for (const pin of given) this.#adding.reject(pin, reason)
  }

  #tell({ events, counted, anomalies }: StepResult): void {
    if (anomalies > this.#anomalies) {
      this.#anomalies = anomalies
      this.#log.error({ anomalies }, 'references were to be uncounted that had not been counted')
    }
    for (const [pin, blocks] of counted) {
      const progress = this.#progress.get(pin)
      if (progress === undefined) continue
      progress.blocks += blocks
      for (const listener of progress.listeners) listener(progress.blocks)
    }
    for (const event of events) this.#tellEvent(event)
  }

  #tellEvent(event: WalkEvent): void {
    switch (event.type) {
      case 'pinned':
        this.#adding.resolve(event.pin)
        this.#changed()
        break
      case 'removed':
        this.#removing.resolve(event.pin)
        break
      case 'failed': {
        const root = CID.decode(event.root).toString()
        const block = CID.decode(event.block).toString()
        const error =
          event.malformed === null ? pinIncomplete(root, block) : pinUnwalkable(root, block, event.malformed)
        if (!this.#adding.reject(event.pin, error)) {
          this.#log.warn(
            { cid: root, block },
            'a pin was undone: a block of its DAG is not held or not readable',
          )
        }
        break
      }
      case 'set-aside':
        this.#log.warn(
          { block: CID.decode(event.block).toString() },
          'references below a damaged block stay counted until it is healed',
        )
        break
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    timer.unref()
    signal.addEventListener('abort', end, { once: true })
  })
}
