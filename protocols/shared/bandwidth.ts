/**
 * How fast data may move, as the protocols see it: types only. They ask before each data frame that they send, and before
 * they grant credit for what they receive. Small messages (questions, credit, statuses) are not asked about: they are what
 * keeps the other side from giving up, and weigh nothing beside the data.
 */

/** What moves data in amounts that an operator may want to limit. */
export type BandwidthProtocol = 'content' | 'bitswap' | 'chunk' | 'gateway' | 'torrent' | 'reconcile'

/** Whose data, over what, and which way. One object for a stream's whole life. */
export interface Flow {
  readonly direction: 'in' | 'out'
  /** Text form of the peer id, or whatever else names who is at the other end. */
  readonly peer: string
  readonly protocol: BandwidthProtocol
}

export interface Bandwidth {
  /**
   * Takes room for so many bytes, at most `sliceBytes`, and counts them as moved. Undefined: they may move at once, which is all
   * that an unlimited node ever answers; else the promise resolves when they may. Peers take turns, whatever number of
   * streams each has.
   *
   * @throws the signal's reason, and then nothing was taken
   */
  take(flow: Flow, bytes: number, signal: AbortSignal): Promise<void> | undefined
  /** As `take`, for what may come later, or not at all: it is counted with `moved` when it does. */
  reserve(flow: Flow, bytes: number, signal: AbortSignal): Promise<void> | undefined
  moved(flow: Flow, bytes: number): void
  /**
   * The most bytes to take at a time, so that nobody waits long for their turn and a receiver hears something now and
   * then; `Infinity` where nothing limits the flow.
   */
  sliceBytes(flow: Flow): number
}
