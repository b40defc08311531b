import type { Startable } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { door, type Admit, type DoorComponents, type Invitation } from '../../protocols/swarm/index.ts'
import type { Logger } from '../telemetry/types.ts'
import { doorFailed, doorNowhere } from './errors.ts'
import type { SwarmStore } from './store.ts'
import type { Connection } from '@libp2p/interface'

/** After the last invitation was used: whoever did not hear the answer asks again. */
const LINGER_MS = 60_000
/** Timers do not reach further than 24 days. */
const LONGEST_WAIT_MS = 24 * 3_600_000

/** libp2p below the door and below a knock: one of its own each time, with nothing but what is needed. */
export interface House {
  /** Listens under the key of the door, and offers `service` alone. @throws where it cannot listen */
  open(service: (components: DoorComponents) => Startable): Promise<OpenDoor>
  /** Connects to a door under this node's own key. */
  visit(
    invitation: Pick<Invitation, 'door' | 'addresses'>,
    signal: AbortSignal,
  ): Promise<{ connection: Connection; leave(): Promise<void> }>
  /** Public key of the door. */
  readonly doorKey: Uint8Array
}

export interface OpenDoor {
  addresses(): Multiaddr[]
  close(): Promise<void>
}

export interface DoorKeeperOptions {
  house: House
  store: Pick<SwarmStore, 'openUntilMs'>
  networkName: string
  admit: Admit
  log: Logger
  now: () => number
}

/** Keeps the door open while there are invitations, and not longer. */
export class DoorKeeper {
  readonly #options: DoorKeeperOptions
  #door: OpenDoor | undefined
  #timer: NodeJS.Timeout | undefined
  /** Opening and closing, one after the other. */
  #turn: Promise<unknown> = Promise.resolve()
  #isStopped = false

  constructor(options: DoorKeeperOptions) {
    this.#options = options
  }

  /** Without the key of the door, which stands in the invitation. */
  addresses(): Multiaddr[] {
    return this.#door?.addresses() ?? []
  }

  /** Opens the door. @throws ERR_DOOR_LISTEN */
  open(): Promise<void> {
    return this.#next(async () => {
      await this.#open()
      this.#watch()
    })
  }

  /** Opens or closes it, as the invitations are now. Never throws. */
  async check(): Promise<void> {
    await this.#next(async () => {
      if (this.#isWanted()) await this.#open()
      else await this.#close()
      this.#watch()
    }).catch((error: unknown) => {
      this.#options.log.warn({ err: error }, 'the door stays closed, so that invitations are of no use')
      this.#watch()
    })
  }

  /** An invitation was used. */
  lingers(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.check(), LINGER_MS).unref()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    await this.#next(() => this.#close())
  }

  #isWanted(): boolean {
    const { store, now } = this.#options
    return !this.#isStopped && store.openUntilMs(now()) !== null
  }

  #watch(): void {
    clearTimeout(this.#timer)
    const { store, now } = this.#options
    const untilMs = this.#isStopped ? null : store.openUntilMs(now())
    if (untilMs === null) return
    const waitMs = Math.min(LONGEST_WAIT_MS, untilMs - now() + 1)
    this.#timer = setTimeout(() => void this.check(), waitMs).unref()
  }

  async #open(): Promise<void> {
    if (this.#door !== undefined || this.#isStopped) return
    const { house, networkName, admit, log } = this.#options
    let opened: OpenDoor
    try {
      opened = await house.open(door({ networkName, admit, log }))
    } catch (error) {
      throw doorFailed(error)
    }
    if (opened.addresses().length === 0) {
      await opened.close()
      throw doorNowhere()
    }
    this.#door = opened
    log.info({ addresses: opened.addresses().map(String) }, 'the door is open')
  }

  async #close(): Promise<void> {
    const door = this.#door
    this.#door = undefined
    if (door === undefined) return
    await door.close()
    this.#options.log.info('the door is closed')
  }

  #next(step: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(step)
    this.#turn = turn.catch(() => {})
    return turn
  }
}
