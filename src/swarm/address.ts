import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import { keyOf } from '../../protocols/swarm/index.ts'

/** The text of the peer id that an address ends in, if it does. */
export function peerOfAddress(address: Multiaddr): string | undefined {
  return address.getComponents().findLast(({ name }) => name === 'p2p')?.value
}

/** The public key of the peer that an address ends in; undefined where it names none, or one of another kind than Ed25519. */
export function keyOfAddress(address: Multiaddr): Uint8Array | undefined {
  const peer = peerOfAddress(address)
  return peer === undefined ? undefined : keyOfPeer(peer)
}

/** The public key in a peer id; undefined where it is none of an Ed25519 key. */
export function keyOfPeer(peer: string): Uint8Array | undefined {
  try {
    return keyOf(peerIdFromString(peer))
  } catch {
    return undefined
  }
}
