import type {
  Connection,
  CreateListenerOptions,
  DialTransportOptions,
  Listener,
  ListenerEvents,
  Startable,
  Transport,
} from '@libp2p/interface'
import { isStartable, serviceCapabilities, TypedEventEmitter, transportSymbol } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { transportNotLoaded } from '../errors.ts'
import { listenFailure } from './listen-failure.ts'
import type { TransportFactory } from './table.ts'

type Components = Parameters<TransportFactory>[0]

export interface LazyTransportInit {
  /** As an operator reads it. */
  name: string
  dials(address: Multiaddr): boolean
  listens(address: Multiaddr): boolean
  /** Imports the package, and with it a native addon where it has one. */
  load(): Promise<TransportFactory>
  /** Bounds what a listener takes, where the library does not. */
  guard?(listener: Listener): void
}

/**
 * A transport that is loaded when it is first dialled or listened on. A native addon costs start time and memory, and QUIC
 * opens sockets as soon as it exists: a node that uses none of it should not pay.
 */
export function lazyTransport(init: LazyTransportInit): TransportFactory {
  return (components) => new LazyTransport(components, init)
}

class LazyTransport implements Transport, Startable {
  readonly [transportSymbol] = true as const
  readonly [Symbol.toStringTag]: string = '@p2pnode/lazy-transport'
  readonly [serviceCapabilities]: string[] = ['@libp2p/transport']
  readonly #components: Components
  readonly #init: LazyTransportInit
  #loading: Promise<Transport> | undefined
  #isStarted = false

  constructor(components: Components, init: LazyTransportInit) {
    this.#components = components
    this.#init = init
    this[Symbol.toStringTag] = `@p2pnode/${init.name}`
  }

  readonly dialFilter = (addresses: Multiaddr[]): Multiaddr[] => addresses.filter(this.#matcher('dials'))
  readonly listenFilter = (addresses: Multiaddr[]): Multiaddr[] => addresses.filter(this.#matcher('listens'))

  start(): void {
    this.#isStarted = true
  }

  async stop(): Promise<void> {
    this.#isStarted = false
    const transport = await this.#loading?.catch(() => undefined)
    this.#loading = undefined
    if (isStartable(transport)) await transport.stop()
  }

  async dial(address: Multiaddr, options: DialTransportOptions): Promise<Connection> {
    const transport = await this.#load()
    options.signal.throwIfAborted()
    return transport.dial(address, options)
  }

  createListener(options: CreateListenerOptions): Listener {
    return new LazyListener(this.#init.name, async () => {
      const listener = (await this.#load()).createListener(options)
      this.#init.guard?.(listener)
      return listener
    })
  }

  #matcher(which: 'dials' | 'listens'): (address: Multiaddr) => boolean {
    return (address) => this.#init[which](address)
  }

  #load(): Promise<Transport> {
    this.#loading ??= this.#create().catch((error: unknown) => {
      this.#loading = undefined
      throw error
    })
    return this.#loading
  }

  async #create(): Promise<Transport> {
    let transport: Transport
    try {
      const factory = await this.#init.load()
      transport = factory(this.#components)
    } catch (cause) {
      throw transportNotLoaded(this.#init.name, cause)
    }
    // Whatever asks comes after the start of all components; a stop in between must not leave it running.
    if (isStartable(transport) && this.#isStarted) await transport.start()
    return transport
  }
}

/** Whether a listener stands for one of this transport. */
export function isLazyListener(listener: Listener, transport: string): boolean {
  return listener instanceof LazyListener && listener.transport === transport
}

/** Stands for the listener of a transport that is not there yet. */
class LazyListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly transport: string
  readonly #create: () => Promise<Listener>
  #listener: Listener | undefined
  #isClosed = false

  constructor(transport: string, create: () => Promise<Listener>) {
    super()
    this.transport = transport
    this.#create = create
  }

  async listen(address: Multiaddr): Promise<void> {
    const listener = await this.#create()
    // A stop came first: whoever closed it has been told already.
    if (this.#isClosed) return
    this.#listener = listener
    for (const type of ['listening', 'error', 'close'] as const) {
      listener.addEventListener(type, (event: CustomEvent<unknown>) =>
        this.safeDispatchEvent(type, { detail: event.detail }),
      )
    }
    try {
      await listener.listen(address)
    } catch (error) {
      this.#listener = undefined
      throw await listenFailure(address, error)
    }
  }

  getAddrs(): Multiaddr[] {
    return this.#listener?.getAddrs() ?? []
  }

  updateAnnounceAddrs(addresses: Multiaddr[]): void {
    this.#listener?.updateAnnounceAddrs(addresses)
  }

  /** One that never listened is not closed: its library would throw the first error once more, in place of it. */
  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#listener === undefined) this.safeDispatchEvent('close')
    else await this.#listener.close()
  }
}
