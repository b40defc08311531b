import type { Config } from './schema.ts'

/** The switches of `network.transports`. */
export type TransportName = keyof Config['network']['transports']

/**
 * Which switch an address to listen on needs, by its last parts; undefined for what is none of ours, which the network
 * refuses in its own words. Text alone, since the parser of multiaddrs is not loaded for the default list.
 */
export function transportOf(address: string): TransportName | undefined {
  const bare = address.replace(/\/p2p\/[^/]+$/, '')
  return FORMS.find(([form]) => form.test(bare))?.[1]
}

const FORMS: readonly (readonly [RegExp, TransportName])[] = [
  [/\/tcp\/\d+$/, 'tcp'],
  [/\/wss?$/, 'websocket'],
  [/\/udp\/\d+\/quic-v1$/, 'quic'],
  [/\/webrtc-direct(\/certhash\/[^/]+)*$/, 'webrtcDirect'],
  [/\/webrtc$/, 'webrtc'],
]
