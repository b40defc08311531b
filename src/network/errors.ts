import { P2pnodeError } from '../../protocols/shared/errors.ts'

/** Addresses in messages are foreign text: cut, so that a message stays a line. */
function shorten(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

export function addressInvalid(address: string, reason: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError('ERR_ADDRESS_INVALID', 'usage', `"${shorten(address)}" ${reason}`, {
    details: { address: shorten(address) },
    cause,
  })
}

export function transportUnavailable(address: string, known: string[]): P2pnodeError {
  return new P2pnodeError(
    'ERR_TRANSPORT_UNAVAILABLE',
    'usage',
    `no transport of this version serves "${shorten(address)}"; it has: ${known.join(', ')}`,
    { details: { address: shorten(address), transports: known } },
  )
}

export function dialFailed(address: string, reason: string, cause: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_DIAL_FAILED',
    'unavailable',
    `${shorten(address)} could not be reached: ${reason}`,
    {
      details: { address: shorten(address) },
      cause,
    },
  )
}

export function dialTimedOut(address: string, elapsedMs: number, cause: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_DIAL_FAILED',
    'timeout',
    `${shorten(address)} did not answer within ${elapsedMs} ms`,
    { details: { address: shorten(address), elapsedMs }, cause },
  )
}

export function denied(peer: string, reason: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_DENIED',
    'denied',
    `connections with ${shorten(peer)} are refused: ${reason}`,
    {
      details: { peer: shorten(peer), reason },
    },
  )
}

export function cancelled(what: string, cause: unknown): P2pnodeError {
  return new P2pnodeError('ERR_CANCELLED', 'cancelled', `${what} was cancelled`, { cause })
}

export function peerNotConnected(peer: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_PEER_NOT_CONNECTED',
    'not-found',
    `there is no connection with ${shorten(peer)}`,
    {
      details: { peer: shorten(peer) },
    },
  )
}

/** An address of `network.listen` is taken, not ours, or not served by any transport. */
export function listenFailed(reason: string, cause: unknown): P2pnodeError {
  return new P2pnodeError('ERR_LISTEN', 'conflict', `cannot listen: ${reason}`, { cause })
}

export function dhtRecordInvalid(reason: string): P2pnodeError {
  return new P2pnodeError('ERR_DHT_RECORD_INVALID', 'verification', `the DHT record is refused: ${reason}`)
}
