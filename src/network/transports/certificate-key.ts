import { privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import type { WebRTCDirectTransportComponents } from '@libp2p/webrtc'
import type { Datastore } from 'interface-datastore'
import { Key } from 'interface-datastore'

type Keychain = NonNullable<WebRTCDirectTransportComponents['keychain']>

/**
 * Of a keychain, what the WebRTC transport uses: it keeps one key, that of its certificate. It lies in state.db as it is,
 * since it proves nothing about the node: who is who is settled by Noise, under the identity's key.
 */
export function datastoreKeychain(datastore: Datastore): Keychain {
  const keyOf = (name: string): Key => new Key(`/p2pnode/certificate-keys/${name}`, false)
  return {
    async exportKey(name: string): Promise<PrivateKey> {
      // A missing one is a NotFoundError, which the transport expects.
      return privateKeyFromProtobuf(await datastore.get(keyOf(name)))
    },
    async importKey(name: string, key: PrivateKey): Promise<void> {
      await datastore.put(keyOf(name), privateKeyToProtobuf(key))
    },
  } as unknown as Keychain
}
