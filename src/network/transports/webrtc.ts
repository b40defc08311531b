import type { Upgrader } from '@libp2p/interface'
import { webRTC, webRTCDirect } from '@libp2p/webrtc'
import { WEBRTC_LIMITS } from '../limits.ts'
import type { NetworkSettings } from '../settings.ts'
import { datastoreKeychain } from './certificate-key.ts'
import type { TransportFactory } from './table.ts'

type Network = NetworkSettings['network']

/** Loads node-datachannel, a native addon. */
export function webrtcDirectTransport(): TransportFactory {
  const factory = webRTCDirect({
    // Whoever dials knows the address: nobody needs to be asked. Left out, the library asks public servers.
    rtcConfiguration: { iceServers: [] },
    maxEarlyStreams: WEBRTC_LIMITS.maxEarlyStreams,
  })
  return ({ peerId, privateKey, logger, transportManager, upgrader, datastore, metrics }) =>
    factory({
      peerId,
      privateKey,
      logger,
      transportManager,
      upgrader: boundPending(upgrader),
      datastore,
      // With it the certificate, and the address that names it, outlive a restart.
      keychain: datastoreKeychain(datastore),
      ...(metrics === undefined ? {} : { metrics }),
    })
}

/** Loads node-datachannel, a native addon. */
export function webrtcTransport({ iceServers }: Network): TransportFactory {
  const factory = webRTC({
    // An empty list is given on purpose: left out, the library asks public servers.
    rtcConfiguration: { iceServers: iceServers.map((urls) => ({ urls })) },
    maxEarlyStreams: WEBRTC_LIMITS.maxEarlyStreams,
  })
  return ({ peerId, registrar, logger, transportManager, connectionManager, upgrader, events, metrics }) =>
    factory({
      peerId,
      registrar,
      logger,
      transportManager,
      connectionManager,
      upgrader,
      events,
      ...(metrics === undefined ? {} : { metrics }),
    })
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
