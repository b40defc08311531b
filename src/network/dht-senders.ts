import { AsyncLocalStorage } from 'node:async_hooks'
import type { Registrar } from '@libp2p/interface-internal'
import { handlingStreams } from './handled-streams.ts'

/**
 * Who sent what the DHT is about to store. kad-dht hands a record to its datastore without a word about where it came from;
 * each inbound stream is therefore handled in an asynchronous context that names its peer.
 */
export class DhtSenders {
  readonly #sender = new AsyncLocalStorage<string>()

  /** Undefined for what this node does itself. */
  current(): string | undefined {
    return this.#sender.getStore()
  }

  /** A registrar through which the DHT handles streams. */
  naming(registrar: Registrar): Registrar {
    return handlingStreams(
      registrar,
      (handler) => (stream, connection) =>
        this.#sender.run(connection.remotePeer.toString(), () => handler(stream, connection)),
    )
  }
}
