import type { Startable } from '@libp2p/interface'
import type { UPnPNATComponents } from '@libp2p/upnp-nat'
import type { Logger } from '../../telemetry/types.ts'

/**
 * Has the router of the local network forward the ports that this node listens on. The package (SSDP, SOAP, an XML parser)
 * is loaded only where this is on. What the router says it forwards is announced at once, since nobody but it could know.
 */
export function portMapper(log: Logger): (components: UPnPNATComponents) => Startable {
  return ({ peerId, nodeInfo, logger, addressManager, events }) => {
    let mapper: Startable | undefined
    return {
      async start() {
        const { uPnPNAT } = await import('@libp2p/upnp-nat')
        const created = uPnPNAT({ autoConfirmAddress: true })({
          peerId,
          nodeInfo,
          logger,
          addressManager,
          events,
        }) as unknown as Startable
        await created.start()
        mapper = created
        log.info('looking for a router that forwards ports (UPnP)')
      },
      async stop() {
        await mapper?.stop()
        mapper = undefined
      },
    }
  }
}
