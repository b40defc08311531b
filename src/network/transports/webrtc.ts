import type {
  Listener,
  Logger,
  MultiaddrConnection,
  PeerId,
  Upgrader,
  UpgraderWithoutEncryptionOptions,
} from '@libp2p/interface'
import { ConnectionFailedError } from '@libp2p/interface'
import type { TransportManager } from '@libp2p/interface-internal'
import { webRTC, webRTCDirect } from '@libp2p/webrtc'
import { WEBRTC_LIMITS } from '../limits.ts'
import type { NetworkSettings } from '../settings.ts'
import { datastoreKeychain } from './certificate-key.ts'
import { isLazyListener } from './lazy.ts'
import { type Knock, leaseMuxSocket } from './mux-socket.ts'
import type { TransportFactory } from './table.ts'

type Network = NetworkSettings['network']

/** Loads node-datachannel, a native addon. */
export function webrtcDirectTransport(): TransportFactory {
  const factory = webRTCDirect({
    // Whoever dials knows the address: nobody needs to be asked. Left out, the library asks public servers.
    rtcConfiguration: { iceServers: [] },
    maxEarlyStreams: WEBRTC_LIMITS.maxEarlyStreams,
  })
  return ({ peerId, privateKey, logger, transportManager, upgrader, datastore, metrics }) => {
    const bounded = boundPending(upgrader)
    const transport = factory({
      peerId,
      privateKey,
      logger,
      transportManager,
      upgrader: bounded,
      datastore,
      // With it the certificate, and the address that names it, outlive a restart.
      keychain: datastoreKeychain(datastore),
      ...(metrics === undefined ? {} : { metrics }),
    })
    const createListener = transport.createListener.bind(transport)
    transport.createListener = (options) => onLeasedSocket(createListener(options), bounded)
    return transport
  }
}

const NO_PORT = -1

/** What is used of the library's listener, whose types keep it private. */
interface DirectListener extends Listener {
  components: { peerId: PeerId }
  shutdownController: AbortController
  log: Logger
  incomingConnection(ufrag: string, host: string, port: number, signal: AbortSignal): Promise<void>
  startUDPMuxServer(host: string, port: number, family: 4 | 6): object
}

/** Has a listener of the library hear through a socket that outlives it, in place of one that it opens and stops. */
function onLeasedSocket(listener: Listener, upgrader: Upgrader): Listener {
  const direct = listener as DirectListener
  if (typeof direct.startUDPMuxServer !== 'function' || typeof direct.incomingConnection !== 'function') {
    throw new TypeError('the listener opens its socket in another way')
  }
  const hear = ({ ufrag, host, port }: Knock): void => {
    const signal = upgrader.createInboundAbortSignal(direct.shutdownController.signal)
    direct
      .incomingConnection(ufrag, host, port, signal)
      .catch((error: unknown) => direct.log.error('error processing incoming STUN request - %e', error))
      .finally(() => signal.clear())
  }
  direct.startUDPMuxServer = (host, port, family) => {
    const server = leaseMuxSocket(host, port, hear)
    const { peerId } = direct.components
    const entry = { peerId, owner: direct, port, isIPv4: family === 4, isIPv6: family === 6, server }
    // The library keeps the entry of one that could not be opened, and would take the port for its own from then on.
    server.catch(() => (entry.port = NO_PORT))
    return entry
  }
  return direct
}

/** Loads node-datachannel, a native addon. */
export function webrtcTransport({ iceServers }: Network): TransportFactory {
  const factory = webRTC({
    // An empty list is given on purpose: left out, the library asks public servers.
    rtcConfiguration: { iceServers: iceServers.map((urls) => ({ urls })) },
    maxEarlyStreams: WEBRTC_LIMITS.maxEarlyStreams,
  })
  return (components) => {
    const { peerId, registrar, logger, connectionManager, events, metrics } = components
    const transport = factory({
      peerId,
      registrar,
      logger,
      transportManager: othersListeners(components.transportManager),
      connectionManager,
      upgrader: onlyConnected(components.upgrader),
      events,
      ...(metrics === undefined ? {} : { metrics }),
    })
    const dial = transport.dial.bind(transport)
    transport.dial = (address, options) =>
      dial(address, { ...options, upgrader: onlyConnected(options.upgrader) })
    return transport
  }
}

/**
 * libp2p's upgrader for what is connected. The library takes a failed search for a way between two NATs for a connection,
 * on both sides: without limits it would be preferred to the one through the relay, and every stream on it would hang.
 */
function onlyConnected(upgrader: Upgrader): Upgrader {
  const check = (connection: MultiaddrConnection): void => {
    const { peerConnection } = connection as { peerConnection?: { connectionState?: string } }
    if (peerConnection?.connectionState !== 'connected') {
      throw new ConnectionFailedError(`no way was found (${peerConnection?.connectionState ?? 'no state'})`)
    }
  }
  return {
    async upgradeInbound(connection: MultiaddrConnection, options: UpgraderWithoutEncryptionOptions) {
      check(connection)
      await upgrader.upgradeInbound(connection, options)
    },
    async upgradeOutbound(connection: MultiaddrConnection, options: UpgraderWithoutEncryptionOptions) {
      check(connection)
      return await upgrader.upgradeOutbound(connection, options)
    },
    getStreamMuxers: () => upgrader.getStreamMuxers(),
    getConnectionEncrypters: () => upgrader.getConnectionEncrypters(),
    createInboundAbortSignal: (signal) => upgrader.createInboundAbortSignal(signal),
  }
}

/**
 * The transport's listener puts its name behind the addresses of all other listeners, and would ask itself for ever where
 * it meets itself in another guise.
 */
function othersListeners(manager: TransportManager): TransportManager {
  return Object.create(manager, {
    getListeners: {
      value: () => manager.getListeners().filter((listener) => !isLazyListener(listener, 'webrtc')),
    },
  }) as TransportManager
}

/**
 * libp2p's upgrader, but that no more than `maxPending` inbound WebRTC connections are being made at once. One datagram
 * with a new name makes a native peer connection, before anything is proven and before the limits of connections count.
 */
function boundPending(upgrader: Upgrader): Upgrader {
  let pending = 0
  return {
    upgradeInbound: upgrader.upgradeInbound.bind(upgrader),
    upgradeOutbound: upgrader.upgradeOutbound.bind(upgrader),
    getStreamMuxers: () => upgrader.getStreamMuxers(),
    getConnectionEncrypters: () => upgrader.getConnectionEncrypters(),
    createInboundAbortSignal(signal) {
      if (pending >= WEBRTC_LIMITS.maxPending) {
        return Object.assign(AbortSignal.abort(new Error('too many WebRTC connections are being made')), {
          clear() {},
        })
      }
      pending += 1
      const bounded = upgrader.createInboundAbortSignal(signal)
      const clear = bounded.clear.bind(bounded)
      bounded.clear = () => {
        bounded.clear = clear
        pending -= 1
        clear()
      }
      return bounded
    },
  }
}
