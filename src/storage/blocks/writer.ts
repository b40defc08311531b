import type { Worker } from 'node:worker_threads'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { Logger } from '../../telemetry/types.ts'
import { cancelled, storageBusy, storageClosed, storageError } from '../errors.ts'
import type { Durability } from './schema.ts'
import type { FromWriter, ToWriter, WireError, WriterData, WriterFigures } from './writer-messages.ts'
import { startWriterThread } from './writer-thread.ts'

/** Calls under way or waiting in the writer thread; each holds its arguments in memory. */
const MAX_CALLS = 4_096

export interface CallOptions {
  signal?: AbortSignal
  /** Buffers that move to the writer thread in place of being copied. */
  transfer?: ArrayBuffer[]
}

/** The main thread's side of the one thread that writes blocks.db. */
export interface Writer {
  /**
   * Runs an operation in the writer thread. Calls are taken in order; each settles when the thread answers, also after
   * `signal` aborted, so that no operation goes on behind the back of its caller.
   * @throws what the operation threw; ERR_STORAGE_CLOSED, ERR_STORAGE_BUSY, ERR_CANCELLED, ERR_DISK_FULL, ERR_STORAGE_IO
   */
  call<T>(op: string, args: object, options?: CallOptions): Promise<T>
  /** The store's figures as of the last answer. */
  readonly figures: WriterFigures
  /** Ends what is under way and closes the database; `clean` says that no file without a row is left behind. */
  close(options?: { clean: boolean }): Promise<void>
}

interface PendingCall {
  resolve(value: never): void
  reject(error: unknown): void
  end(): void
}

export async function openWriter(options: {
  databasePath: string
  durability: Durability
  meteredPaths?: string[]
  log: Logger
  /** Called once if the thread ends by itself: from then on nothing can be written, and only a new start helps. */
  onFailure?: (error: Error) => void
  /** One that comes up already. */
  thread?: Worker | undefined
}): Promise<Writer> {
  const worker = options.thread ?? startWriterThread()
  const data: WriterData = {
    databasePath: options.databasePath,
    durability: options.durability,
    meteredPaths: options.meteredPaths ?? [],
  }
  worker.ref()
  worker.postMessage(data)
  const figures = await opened(worker)
  return new WorkerWriter(worker, figures, options.log, options.onFailure)
}

/** Waits until the thread has opened and migrated the database. */
function opened(worker: Worker): Promise<WriterFigures> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      worker.off('message', onMessage)
      worker.off('error', onError)
      worker.off('exit', onExit)
    }
    const fail = (error: unknown): void => {
      settle()
      void worker.terminate()
      reject(error)
    }
    const onMessage = (message: FromWriter): void => {
      if (message.type === 'unopened') fail(fromWire(message.error))
      if (message.type !== 'ready') return
      settle()
      resolve(message.figures)
    }
    const onError = (error: unknown): void => fail(writerLost(error))
    const onExit = (): void => fail(writerLost(undefined))
    worker.on('message', onMessage)
    worker.on('error', onError)
    worker.on('exit', onExit)
  })
}

class WorkerWriter implements Writer {
  figures: WriterFigures
  readonly #worker: Worker
  readonly #log: Logger
  readonly #onFailure: ((error: Error) => void) | undefined
  readonly #calls = new Map<number, PendingCall>()
  #nextId = 1
  #failure: unknown
  #closed: Promise<void> | undefined
  #onClosed: () => void = () => {}

  constructor(
    worker: Worker,
    figures: WriterFigures,
    log: Logger,
    onFailure: ((error: Error) => void) | undefined,
  ) {
    this.#worker = worker
    this.#log = log
    this.#onFailure = onFailure
    this.figures = figures
    worker.on('message', (message: FromWriter) => this.#receive(message))
    worker.on('error', (error: unknown) => this.#fail(writerLost(error)))
    worker.on('exit', () => this.#fail(this.#closed === undefined ? writerLost(undefined) : storageClosed()))
  }

  call<T>(op: string, args: object, options: CallOptions = {}): Promise<T> {
    const { signal } = options
    return new Promise<T>((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure)
      if (this.#closed !== undefined) return reject(storageClosed())
      if (signal?.aborted === true) return reject(cancelled(signal.reason))
      if (this.#calls.size >= MAX_CALLS) return reject(storageBusy('storage operations', MAX_CALLS))
      const id = this.#nextId++
      const cancel = (): void => this.#send({ type: 'cancel', id })
      signal?.addEventListener('abort', cancel, { once: true })
      this.#calls.set(id, { resolve, reject, end: () => signal?.removeEventListener('abort', cancel) })
      this.#send({ type: 'call', id, op, args }, options.transfer)
    })
  }

  close(options: { clean: boolean } = { clean: false }): Promise<void> {
    this.#closed ??= new Promise<void>((resolve) => {
      if (this.#failure !== undefined) return resolve()
      this.#onClosed = resolve
      this.#send({ type: 'close', clean: options.clean })
    }).then(async () => {
      await this.#worker.terminate()
    })
    return this.#closed
  }

  #send(message: ToWriter, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer)
  }

  #receive(message: FromWriter): void {
    switch (message.type) {
      case 'figures':
        this.figures = message.figures
        break
      case 'result':
      case 'error': {
        if (message.figures !== null) this.figures = message.figures
        const call = this.#calls.get(message.id)
        this.#calls.delete(message.id)
        call?.end()
        if (message.type === 'result') call?.resolve(message.result as never)
        else call?.reject(fromWire(message.error))
        break
      }
      case 'closed':
        this.#onClosed()
        break
      case 'ready':
      case 'unopened':
        break
    }
  }

  #fail(error: P2pnodeError): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    if (this.#closed === undefined) {
      this.#log.error({ err: error }, 'the block writer thread ended')
      this.#onFailure?.(error)
    }
    const calls = [...this.#calls.values()]
    this.#calls.clear()
    for (const call of calls) {
      call.end()
      call.reject(error)
    }
    this.#onClosed()
  }
}

function fromWire(error: WireError): P2pnodeError {
  return new P2pnodeError(error.code, error.kind, error.message, { details: error.details })
}

function writerLost(cause: unknown): P2pnodeError {
  return storageError('ERR_STORAGE_IO', 'the thread that writes blocks.db ended: restart the node', { cause })
}
