import type { P2pnodeError } from '../../protocols/shared/errors.ts'
import {
  addressInvalid,
  cancelled,
  denied,
  dialFailed,
  dialTimedOut,
  transportUnavailable,
} from './errors.ts'
import { CONNECTION_LIMITS } from './limits.ts'
import { multiaddr } from '@multiformats/multiaddr'
import { TRANSPORTS } from './transports/table.ts'

export interface DialCircumstances {
  /** The caller's signal had aborted. */
  cancelled: boolean
  elapsedMs: number
}

/** Errors of the operating system that say it all, in words for a person. */
const SYSTEM_REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the other side closed the connection',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'the name could not be looked up',
  ETIMEDOUT: 'no answer',
  EADDRNOTAVAIL: 'the address cannot be used from here',
}

/** Noise and QUIC have no error class for it. */
const WRONG_PEER = /does not match expected remote identity key|^Dialed peer \S+ but connected to /

/** What libp2p's errors of dialling mean to whoever asked for a connection. */
export function dialError(
  address: string,
  peer: string | undefined,
  error: unknown,
  circumstances: DialCircumstances,
): P2pnodeError {
  if (circumstances.cancelled) {
    return cancelled(`connecting to ${address}`, error)
  }
  const causes = flatten(error)
  for (const cause of causes) {
    switch (cause.name) {
      case 'DialDeniedError':
      case 'ConnectionInterceptedError':
        return denied(peer ?? address, 'this node refuses the peer (see the block and the allow list)')
      case 'TransportUnavailableError':
      case 'NoValidAddressesError':
        return transportUnavailable(
          address,
          TRANSPORTS.map(({ name }) => name),
          TRANSPORTS.find((row) => row.dials(multiaddr(address)))?.name,
        )
      case 'InvalidPeerIdError':
        return addressInvalid(address, 'leads back to this node')
      case 'UnexpectedPeerError':
        return dialFailed(address, 'another peer answered there than the address names', error)
      default:
    }
    if (WRONG_PEER.test(cause.message)) {
      return dialFailed(address, 'another peer answered there than the address names', error)
    }
    if (cause.message.includes('find a certhash component')) {
      return addressInvalid(
        address,
        'lacks the /certhash/… that WebRTC-direct needs; the node itself tells it (p2pnode id)',
      )
    }
    if (cause.message.startsWith('No QUIC client available for IPv6')) {
      return dialFailed(address, 'this machine has no IPv6', error)
    }
    const systemReason = SYSTEM_REASONS[(cause as NodeJS.ErrnoException).code ?? '']
    if (systemReason !== undefined) {
      return dialFailed(address, systemReason, error)
    }
  }
  // An address that is given up within the handshake fails with whatever the handshake says to its end.
  if (circumstances.elapsedMs >= CONNECTION_LIMITS.addressDialTimeoutMs) {
    return dialTimedOut(address, circumstances.elapsedMs, error)
  }
  const isWebSocket = /\/wss?(\/|$)/.test(address) && causes.length === 0
  return dialFailed(
    address,
    isWebSocket ? 'no WebSocket server answers there' : 'the handshake failed',
    error,
  )
}

/** The error, what it wraps, and what it collects. */
function flatten(error: unknown, depth = 0): Error[] {
  if (!(error instanceof Error) || depth > 4) {
    return []
  }
  const inner = error instanceof AggregateError ? error.errors : []
  return [error, ...[...inner, error.cause].flatMap((other) => flatten(other, depth + 1))]
}
