import type { StreamHandler } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'

/** A registrar through which a service handles its inbound streams in another way than by itself. */
export function handlingStreams(
  registrar: Registrar,
  by: (handler: StreamHandler) => StreamHandler,
): Registrar {
  const handle: Registrar['handle'] = (protocol, handler, options) =>
    registrar.handle(protocol, by(handler), options)
  return new Proxy(registrar, {
    get(target, key) {
      if (key === 'handle') return handle
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
