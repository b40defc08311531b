import type { Connection, Libp2pEvents, PeerId, TypedEventTarget } from '@libp2p/interface'

/** Of libp2p's events, those that say who is there and what it speaks. */
export type PeerEvents = Pick<TypedEventTarget<Libp2pEvents>, 'addEventListener' | 'removeEventListener'>

export interface SpeakersListener {
  /** Once for each connection over which the peer says that it speaks the protocol; `isNew`: it was none before. */
  onSpeaker?(peer: PeerId, connection: Connection, isNew: boolean): void
  onGone?(peer: PeerId): void
}

/**
 * The connected peers that speak one protocol, from the very event in which a peer says so until it is gone.
 *
 * libp2p's topologies would tell the same, but later: the registrar of libp2p 3 awaits the listeners of one protocol after
 * the other, so that who waited for `peer:identify` and then asked a service saw a peer too few. A listener that throws hides
 * the peer from all protocols after its own, and a peer that is no longer in the peer store is never reported as gone.
 */
export class Speakers {
  readonly #events: PeerEvents
  readonly #protocol: string
  readonly #listener: SpeakersListener
  /** Each with the last connection over which it said so. */
  readonly #peers = new Map<string, { peer: PeerId; connection: string }>()

  constructor(events: PeerEvents, protocol: string, listener: SpeakersListener = {}) {
    this.#events = events
    this.#protocol = protocol
    this.#listener = listener
  }

  start(): void {
    this.#events.addEventListener('peer:identify', this.#onIdentify)
    this.#events.addEventListener('peer:disconnect', this.#onDisconnect)
  }

  stop(): void {
    this.#events.removeEventListener('peer:identify', this.#onIdentify)
    this.#events.removeEventListener('peer:disconnect', this.#onDisconnect)
    this.#peers.clear()
  }

  all(): PeerId[] {
    return Array.from(this.#peers.values(), ({ peer }) => peer)
  }

  has(peer: PeerId): boolean {
    return this.#peers.has(peer.toString())
  }

  readonly #onIdentify = ({ detail }: Libp2pEvents['peer:identify']): void => {
    const { peerId, protocols, connection } = detail
    if (!protocols.includes(this.#protocol)) {
      // A push of addresses alone names no protocols at all.
      if (protocols.length > 0) this.#remove(peerId)
      return
    }
    // What a connection said last may come after its end; nothing would take the peer out again.
    if (connection.status !== 'open') return
    const name = peerId.toString()
    const known = this.#peers.get(name)
    this.#peers.set(name, { peer: peerId, connection: connection.id })
    // A peer may say again and again what it speaks, and with each change of it.
    if (known?.connection === connection.id) return
    const isNew = known === undefined
    this.#listener.onSpeaker?.(peerId, connection, isNew)
  }

  readonly #onDisconnect = ({ detail }: Libp2pEvents['peer:disconnect']): void => this.#remove(detail)

  #remove(peer: PeerId): void {
    if (this.#peers.delete(peer.toString())) this.#listener.onGone?.(peer)
  }
}
