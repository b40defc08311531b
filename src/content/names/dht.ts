import type { KadDHT } from '@libp2p/kad-dht'
import type { Logger } from '../../telemetry/types.ts'
import type { KeyName } from './name.ts'
import { routingKey } from './record.ts'

/** Where records of names are looked for and left. */
export interface NameNetwork {
  /** Whether there is anybody to ask. */
  readonly hasRoutes: boolean
  /** Whatever anybody says to have, unchecked, as it comes. Ends where nobody is left to ask. */
  get(name: KeyName, options: { signal: AbortSignal }): AsyncIterable<Uint8Array>
  /** How many peers took the record. */
  put(name: KeyName, record: Uint8Array, options: { signal: AbortSignal }): Promise<number>
}

export interface NameDht {
  dht: Pick<KadDHT, 'get' | 'put'>
  /** Whether it knows anybody to ask. */
  hasRoutes: () => boolean
}

/** Names over DHTs: the network's own, and in public mode that of IPFS. */
export class DhtNames implements NameNetwork {
  readonly #dhts: readonly NameDht[]
  readonly #log: Logger

  constructor(dhts: readonly NameDht[], log: Logger) {
    this.#dhts = dhts
    this.#log = log
  }

  get hasRoutes(): boolean {
    return this.#dhts.some((each) => each.hasRoutes())
  }

  async *get(name: KeyName, { signal }: { signal: AbortSignal }): AsyncGenerator<Uint8Array> {
    const searches = this.#reachable().map(({ dht }) => this.#search(dht, name, signal))
    yield* interleaved(searches)
  }

  async put(name: KeyName, record: Uint8Array, { signal }: { signal: AbortSignal }): Promise<number> {
    const tellings = this.#reachable().map(({ dht }) => this.#tell(dht, name, record, signal))
    const told = await Promise.all(tellings)
    signal.throwIfAborted()
    return told.reduce((sum, each) => sum + each, 0)
  }

  #reachable(): NameDht[] {
    return this.#dhts.filter((each) => each.hasRoutes())
  }

  /**
   * The library ends a search with its best value, but fails before that where it could not correct a peer that has an older
   * one. So what each peer answers is taken as it comes.
   */
  async *#search(dht: NameDht['dht'], name: KeyName, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    try {
      for await (const event of dht.get(routingKey(name), { signal })) {
        if (event.name === 'PEER_RESPONSE' && event.record !== undefined) yield event.record.value
        if (event.name === 'VALUE') yield event.value
      }
    } catch (error) {
      this.#log.debug({ name: name.text, error: String(error) }, 'a search for a record ended early')
    }
  }

  async #tell(dht: NameDht['dht'], name: KeyName, record: Uint8Array, signal: AbortSignal): Promise<number> {
    const told = new Set<string>()
    try {
      for await (const event of dht.put(routingKey(name), record, { signal })) {
        if (event.name === 'PEER_RESPONSE' && event.messageName === 'PUT_VALUE' && event.record !== undefined)
          told.add(event.from.toString())
      }
    } catch (error) {
      this.#log.debug({ name: name.text, error: String(error) }, 'not all peers could be told of a record')
    }
    return told.size
  }
}

/** Items of all sources in the order in which they come. */
async function* interleaved<T>(sources: AsyncGenerator<T>[]): AsyncGenerator<T> {
  const waiting = new Map(sources.map((source) => [source, nextOf(source)]))
  try {
    while (waiting.size > 0) {
      const { source, step } = await Promise.race(waiting.values())
      if (step.done === true) waiting.delete(source)
      else {
        waiting.set(source, nextOf(source))
        yield step.value
      }
    }
  } finally {
    // Not awaited: a walk that hangs in its next() never answers its return().
    for (const source of waiting.keys()) void source.return(undefined).catch(() => {})
  }
}

async function nextOf<T>(
  source: AsyncGenerator<T>,
): Promise<{ source: AsyncGenerator<T>; step: IteratorResult<T> }> {
  return { source, step: await source.next() }
}
