import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { isIPv6 } from 'node:net'
import { IceUdpMuxListener, PeerConnection } from 'node-datachannel'

/** Somebody who is not known yet knocks: a STUN request under a new name. */
export interface Knock {
  ufrag: string
  host: string
  port: number
}

/** What a WebRTC-direct listener holds of a socket. */
export interface MuxLease {
  address(): AddressInfo
  close(): Promise<void>
}

interface MuxSocket {
  readonly host: string
  readonly port: number
  /** Opened for any port: it serves whoever asks for any port next. */
  readonly isAny: boolean
  readonly native: IceUdpMuxListener
  onKnock: ((knock: Knock) => void) | undefined
}

/** Also the password of ICE, which bounds it; with another one the addon ends the process. */
const UFRAG = /^[a-zA-Z0-9+/]{22,256}$/

/**
 * The process's, as the sockets are: whichever node or door in it comes next takes one up that another has left.
 *
 * They are never closed. libdatachannel up to 0.24.5 does not initialize the flag by which `IceUdpMuxListener.stop()` knows
 * that it was called, so that most often it does nothing: the socket stays open, its thread goes on, and the next
 * knock is told to freed memory, which ends the process by SIGABRT. One that is never stopped is never freed.
 */
const sockets: MuxSocket[] = []

/**
 * A UDP socket that WebRTC-direct connections share, on this host and port, or on a free one for 0. Closing the lease makes it
 * deaf; it is kept, and holds the event loop: a process that had one ends by `process.exit`.
 *
 * @throws what the addon throws where the port is taken
 */
export async function leaseMuxSocket(
  host: string,
  port: number,
  onKnock: (knock: Knock) => void,
): Promise<MuxLease> {
  const socket =
    sockets.find((left) => isLeftFor(left, host, port)) ??
    openSocket(host, port === 0 ? await freePort(host) : port, port === 0)
  socket.onKnock = onKnock
  const address = { address: host, family: isIPv6(host) ? 'IPv6' : 'IPv4', port: socket.port }
  return {
    address: () => address,
    async close() {
      if (socket.onKnock === onKnock) socket.onKnock = undefined
    },
  }
}

function isLeftFor(socket: MuxSocket, host: string, port: number): boolean {
  if (socket.onKnock !== undefined || socket.host !== host) return false
  return port === 0 ? socket.isAny : socket.port === port
}

function openSocket(host: string, port: number, isAny: boolean): MuxSocket {
  if (sockets.length === 0) silence()
  const native = new IceUdpMuxListener(port, host)
  const socket: MuxSocket = { host, port, isAny, native, onKnock: undefined }
  // Set once: the addon's thread may be in the one that it would replace.
  native.onUnhandledStunRequest(({ ufrag, host: from, port: fromPort }) => {
    if (UFRAG.test(ufrag)) socket.onKnock?.({ ufrag, host: from, port: fromPort })
  })
  sockets.push(socket)
  return socket
}

/**
 * Until a process begins its first connection libjuice warns on standard output, two lines for each datagram that it cannot read: whoever
 * reaches the port could fill the log, and spoil what `start --json` prints. `initLogger` and `preload` of the addon do not reach it. A
 * connection to nobody costs 12 ms and 3 MiB; it would be the first peer's otherwise.
 */
function silence(): void {
  const connection = new PeerConnection('to nobody', { iceServers: [], bindAddress: '127.0.0.1' })
  connection.createDataChannel('nothing')
  connection.close()
}

/** The addon takes 0 for a port, and answers on another one than it says. */
async function freePort(host: string): Promise<number> {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
  try {
    const listening = once(socket, 'listening')
    socket.bind(0, host)
    await listening
    return socket.address().port
  } finally {
    socket.close()
  }
}
