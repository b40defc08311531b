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

/** @param switchedOff the transport that would serve it */
export function transportUnavailable(
  address: string,
  known: readonly string[],
  switchedOff?: string,
): P2pnodeError {
  const text = shorten(address)
  let reason = `no transport of this version serves "${text}"; it has: ${known.join(', ')}`
  if (switchedOff !== undefined) {
    reason = `"${text}" needs the transport ${switchedOff}, which is off (network.transports.${switchedOff})`
  } else if (/\/webtransport(\/|$)/.test(address)) {
    reason = `"${text}" is WebTransport, which cannot be had in Node.js; a peer that has it mostly has QUIC (/quic-v1) too`
  } else if (address.includes('/p2p-circuit')) {
    reason = `"${text}" leads through a relay, which this node does not use (network.relay.client never)`
  }
  return new P2pnodeError('ERR_TRANSPORT_UNAVAILABLE', 'usage', reason, {
    details: { address: text, transports: [...known] },
  })
}

/** A package or native addon is missing or does not fit this machine. */
export function transportNotLoaded(name: string, cause: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_TRANSPORT_NOT_LOADED',
    'unavailable',
    `the transport ${name} cannot be loaded on this machine (${process.platform} ${process.arch}); switch it off with network.transports.${name} false`,
    { details: { transport: name, platform: process.platform, arch: process.arch }, cause },
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
