import { AsyncLocalStorage } from 'node:async_hooks'
import type { Registrar } from '@libp2p/interface-internal'

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
    const handle: Registrar['handle'] = (protocol, handler, options) =>
      registrar.handle(
        protocol,
        (stream, connection) =>
          this.#sender.run(connection.remotePeer.toString(), () => handler(stream, connection)),
        options,
      )
    return new Proxy(registrar, {
      get(target, key) {
        if (key === 'handle') return handle
        const value: unknown = Reflect.get(target, key, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
}
