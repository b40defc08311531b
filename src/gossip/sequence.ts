/**
 * Numbers for what this node says, each greater than all before, after a restart as well, as long as the clock is not set back by
 * more than the node was away.
 */
export function createSequence(now: () => number): () => bigint {
  let last = 0n
  return () => {
    const byClock = BigInt(now()) * 1_000n
    last = byClock > last ? byClock : last + 1n
    return last
  }
}
