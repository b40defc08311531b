import type { Connection } from '@libp2p/interface'

/** What stopping needs of libp2p. */
export interface Stoppable {
  stop(): void | Promise<void>
  getConnections(): Connection[]
}

/** After the connections are cut, this long is given to the stop that was under way. */
const AFTER_ABORT_MS = 1_000

/**
 * Stops libp2p within a bound. `libp2p.stop()` waits for streams and sockets of peers that may never answer; once
 * `timeoutMs` has passed, every connection is cut and the stop gets one more second.
 *
 * @returns whether libp2p stopped by itself within `timeoutMs`; false leaves nothing open that could serve a peer
 * @throws what `libp2p.stop()` throws
 */
export async function boundedStop(libp2p: Stoppable, timeoutMs: number): Promise<boolean> {
  const stopped = Promise.resolve(libp2p.stop())
  if (await endsWithin(stopped, timeoutMs)) {
    return true
  }
  for (const connection of libp2p.getConnections()) {
    connection.abort(new Error('this node is stopping'))
  }
  // A stop that fails after its time is up changes nothing for the caller.
  await endsWithin(
    stopped.catch(() => {}),
    AFTER_ABORT_MS,
  )
  return false
}

async function endsWithin(work: Promise<void>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs)
  })
  try {
    return await Promise.race([work.then(() => true as const), expired])
  } finally {
    clearTimeout(timer)
  }
}
