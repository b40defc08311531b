import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { Multiaddr } from '@multiformats/multiaddr'
import { hostOf } from '../addresses.ts'

/**
 * Why an address cannot be listened on, in the words of Node's own sockets: native addons say "failed" or number an error
 * of the system. For UDP the system is asked again by binding a socket of ours.
 */
export async function listenFailure(address: Multiaddr, error: unknown): Promise<unknown> {
  const host = hostOf(address)
  const port = Number(address.getComponents().find(({ name }) => name === 'udp')?.value)
  if (host === undefined || !Number.isInteger(port) || port === 0) return error
  const isIpv6 = host.family === 'ipv6'
  const socket = createSocket({ type: isIpv6 ? 'udp6' : 'udp4', ipv6Only: isIpv6 })
  try {
    const listening = once(socket, 'listening')
    socket.bind(port, host.address)
    await listening
    return error
  } catch (reason) {
    return Object.assign(reason as Error, { cause: error })
  } finally {
    socket.close()
  }
}
