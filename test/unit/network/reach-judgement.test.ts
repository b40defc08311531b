import { generateKeyPair } from '@libp2p/crypto/keys'
import { TypedEventEmitter } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, it } from 'vitest'
import { machineInterfaces } from '../../../src/network/reach/interfaces.ts'
import { type ReachComponents, reach } from '../../../src/network/reach/reach.ts'
import { quietLogger, testSettings } from '../../support/network.ts'

function watched() {
  const events = new TypedEventEmitter() as unknown as ReachComponents['events']
  const listened: string[] = []
  let mode = 'server'
  const service = reach({
    settings: testSettings({ relay: { ...testSettings().network.relay, client: 'auto' } }),
    interfaces: machineInterfaces(() => ({
      lan: [
        {
          address: '192.168.1.20',
          netmask: '',
          family: 'IPv4',
          mac: '',
          internal: false,
          cidr: '192.168.1.20/24',
        },
      ],
    })),
    log: quietLogger(),
  })({
    events,
    addressManager: { getAddressesWithMetadata: () => [], getAddresses: () => [] },
    transportManager: {
      listen: async (addresses: unknown[]) => void listened.push(...addresses.map(String)),
      getAddrs: () => [],
    },
    dht: { getMode: () => mode, setMode: async (now: string) => void (mode = now) },
  } as unknown as ReachComponents)
  const seenBy = async (host: string): Promise<void> => {
    const peerId = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
    const detail = {
      peerId,
      observedAddr: multiaddr(`/ip4/${host}/tcp/4700`),
      connection: { remoteAddr: multiaddr('/ip4/192.168.1.9/tcp/4700') },
    }
    events.dispatchEvent(new CustomEvent('peer:identify', { detail }) as never)
  }
  return { service, listened, seenBy, mode: () => mode }
}

it('one peer that sees a node elsewhere brings it to take slots, and not out of the DHT', async () => {
  const { service, listened, seenBy, mode } = watched()
  await service.start?.()
  for (let peer = 0; peer < 3; peer += 1) await seenBy('192.168.1.20')
  expect(service.state()).toMatchObject({ reachability: 'direct', observed: [] })
  await seenBy('203.0.113.7')
  expect(service.state()).toMatchObject({ reachability: 'behind-nat', observed: ['203.0.113.7'] })
  await expect.poll(() => listened).toEqual(['/p2p-circuit', '/p2p-circuit'])
  expect(mode()).toBe('server')
  for (let peer = 0; peer < 3; peer += 1) await seenBy('203.0.113.7')
  expect(mode()).toBe('client')
  await service.stop?.()
})
