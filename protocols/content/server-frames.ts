import type { Bandwidth, Flow } from '../shared/bandwidth.ts'
import type { CreditAccount } from '../shared/credit.ts'
import type { StreamWriter } from '../shared/writer.ts'
import { type BlockHeader, encodeBlockHeader } from './data-frame.ts'
import { FRAME_COST_BYTES, MIN_PART_BYTES } from './limits.ts'

export interface FrameSenderInit {
  /** Text form of the client's peer id. */
  peer: string
  writer: StreamWriter
  credit: CreditAccount
  bandwidth: Bandwidth | undefined
  frameDataBytes: number
  signal: AbortSignal
}

/** Sends messages and parts of blocks as the client's credit, the bandwidth and the stream allow. */
export class FrameSender {
  readonly #init: FrameSenderInit
  readonly #flow: Flow
  /** It waits for credit, or for the stream to take more. */
  waitsForClient = false

  constructor(init: FrameSenderInit) {
    this.#init = init
    this.#flow = { direction: 'out', peer: init.peer, protocol: 'content' }
  }

  sliceBytes(): number {
    return this.#init.bandwidth?.sliceBytes(this.#flow) ?? Infinity
  }

  async write(header: Uint8Array, data?: Uint8Array): Promise<void> {
    this.waitsForClient = true
    try {
      await this.#init.writer.write(header, data, this.#init.signal)
    } finally {
      this.waitsForClient = false
    }
  }

  /** As much of what is left of a block as one frame takes, and credit and bandwidth allow. Returns how much that was. */
  async sendPart(header: BlockHeader, left: Uint8Array): Promise<number> {
    const { bandwidth, frameDataBytes, writer, signal } = this.#init
    const mostBytes = Math.min(left.length, frameDataBytes, this.sliceBytes())
    const data = left.subarray(0, await this.#takeCredit(mostBytes))
    const wait = bandwidth?.take(this.#flow, data.length + FRAME_COST_BYTES, signal)
    if (wait !== undefined) {
      writer.flushSoon()
      await wait
    }
    await this.write(encodeBlockHeader(header, data.length), data)
    return data.length
  }

  /** Credit for so much data, or for some of it where the client grants little at a time. */
  async #takeCredit(mostBytes: number): Promise<number> {
    const { credit, writer, signal } = this.#init
    const cost = mostBytes + FRAME_COST_BYTES
    if (credit.available < cost) writer.flushSoon()
    const leastBytes = Math.min(mostBytes, MIN_PART_BYTES) + FRAME_COST_BYTES
    this.waitsForClient = true
    try {
      return (await credit.takeUpTo(cost, leastBytes, signal)) - FRAME_COST_BYTES
    } finally {
      this.waitsForClient = false
    }
  }
}
