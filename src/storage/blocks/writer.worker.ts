/**
 * The one thread that writes blocks.db. It takes operations by name from the tables below, runs them against its own
 * connection, and answers with the result and the store's new figures. Operations are short transactions; a long one
 * awaits `context.turn()` between them.
 */
import { parentPort } from 'node:worker_threads'
import { fromSystemError, storageError } from '../errors.ts'
import { maintenanceOperations } from '../maintenance/operations.ts'
import { pinOperations } from '../pins/operations.ts'
import { blockOperations } from './block-operations.ts'
import { markOperations } from './mark-operations.ts'
import type { Operations, OperationTable } from './operations.ts'
import { openForWriting } from './schema.ts'
import { createWriterContext } from './writer-context.ts'
import type { FromWriter, ToWriter, WireError, WriterData } from './writer-messages.ts'

const TABLES: readonly OperationTable[] = [
  blockOperations,
  markOperations,
  pinOperations,
  maintenanceOperations,
]

// The thread may be up before it is known what it is for.
const port = parentPort
port?.once('message', (data: WriterData) => run(port, data))

function run(port: NonNullable<typeof parentPort>, data: WriterData): void {
  const send = (message: FromWriter): void => port.postMessage(message)
  let db: ReturnType<typeof openForWriting>
  try {
    db = openForWriting(data.databasePath, data.durability)
  } catch (error) {
    send({ type: 'unopened', error: toWire(error) })
    return
  }

  const meta = db.prepare<[string], number>('SELECT value FROM meta WHERE key = ?').pluck()
  const setMeta = db.prepare<[number, string]>('UPDATE meta SET value = ? WHERE key = ?')
  const unclean = meta.get('unclean') === 1
  const closing = new AbortController()
  let figuresDue = false
  const context = createWriterContext(db, {
    meteredPaths: data.meteredPaths,
    unclean,
    closing: closing.signal,
    onCommit() {
      if (figuresDue) return
      figuresDue = true
      // An operation that ends in this turn carries the figures with its answer; one that goes on does not.
      setImmediate(() => {
        if (figuresDue && db.open) send({ type: 'figures', figures: takeFigures() })
      })
    },
  })
  function takeFigures() {
    figuresDue = false
    return context.figures()
  }

  const operations: Operations = {}
  for (const table of TABLES) Object.assign(operations, table(db, context))
  const running = new Map<number, { abort: AbortController; done: Promise<void> }>()

  async function call(id: number, op: string, args: object, aborted: AbortSignal): Promise<void> {
    try {
      const operation = operations[op]
      if (operation === undefined) throw storageError('ERR_STORAGE_IO', `the writer knows no operation ${op}`)
      const signal = AbortSignal.any([aborted, closing.signal])
      const pending = operation(args as never, { signal })
      const result = pending instanceof Promise ? await pending : pending
      send({ type: 'result', id, result, figures: figuresDue ? takeFigures() : null })
    } catch (error) {
      send({ type: 'error', id, error: toWire(error), figures: figuresDue ? takeFigures() : null })
    }
  }

  async function close(clean: boolean): Promise<void> {
    closing.abort()
    await Promise.all([...running.values()].map(({ done }) => done))
    try {
      if (clean) setMeta.run(0, 'unclean')
    } catch {
      // A full disk: the next start only sweeps once more than it had to.
    }
    db.close()
    send({ type: 'closed' })
    port.close()
  }

  try {
    setMeta.run(1, 'unclean')
    send({ type: 'ready', figures: context.figures() })
  } catch (error) {
    // A full disk must not keep the node from starting: reads work, and the mark stays as the last run left it.
    const failure = toWire(error)
    if (failure.code !== 'ERR_DISK_FULL') {
      send({ type: 'unopened', error: failure })
      db.close()
      return
    }
    send({ type: 'ready', figures: { ...context.figures(), unclean: true } })
  }
  port.on('message', (message: ToWriter) => {
    switch (message.type) {
      case 'call': {
        const abort = new AbortController()
        const done = call(message.id, message.op, message.args, abort.signal)
        running.set(message.id, { abort, done })
        void done.then(() => running.delete(message.id))
        break
      }
      case 'cancel':
        running.get(message.id)?.abort.abort()
        break
      case 'close':
        void close(message.clean)
        break
    }
  })
}

function toWire(error: unknown): WireError {
  const { code, kind, message, details } = fromSystemError(error)
  return { code, kind, message, details }
}
