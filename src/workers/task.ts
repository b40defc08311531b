/** The thread's side: what `*.worker.ts` entries wrap their functions in. */
import { move, transferableSymbol, valueSymbol } from 'piscina'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import { toWire, type WireAnswer } from './wire.ts'

export interface TaskResult<R> {
  value: R
  /** Buffers of the value that move to the caller in place of being copied; each once, nothing else may use them. */
  transfer?: ArrayBuffer[]
}

/** A function as an entry exports it and the pool calls it by the export's name. Errors keep their code on the way back. */
export function workerTask<A, R>(work: (args: A) => TaskResult<R>): (args: A) => unknown {
  return (args) => {
    try {
      const { value, transfer = [] } = work(args)
      const answer: WireAnswer = { value }
      return move({ [valueSymbol]: answer, [transferableSymbol]: transfer })
    } catch (error) {
      if (!(error instanceof P2pnodeError)) throw error
      const answer: WireAnswer = { error: toWire(error) }
      return answer
    }
  }
}
