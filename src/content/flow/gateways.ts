import type { CID } from 'multiformats/cid'
import { setTimeout as sleep } from 'node:timers/promises'
import { keyOf, matches } from '../../../protocols/content/hash.ts'
import { mayHaveLinks } from '../../../protocols/content/links.ts'
import type { Bandwidth } from '../../../protocols/shared/bandwidth.ts'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { Candidate } from '../router/types.ts'
import { CarStream } from './car-stream.ts'
import { type CarRequest, Gateway } from './gateway.ts'
import { GATEWAYS_HEAD_START_MS, RETRY_AFTER_MS } from './limits.ts'
import { type Miss, Tally } from './tally.ts'
import type { FoundBlock, Step, StepOptions, StepPlan, StepRun } from './types.ts'

export interface GatewaysOptions {
  addresses: readonly string[]
  /** Nothing from a gateway for so long ends a request to it. */
  deadlineMs: number
  bandwidth?: Bandwidth | undefined
}

/** Asks trustless HTTP gateways: a CAR of what lies below, or block by block. */
export function gatewaysStep({ addresses, deadlineMs, bandwidth }: GatewaysOptions): Step {
  const gateways = addresses.map((address) => new Gateway({ address, bandwidth, idleMs: deadlineMs }))
  return {
    name: 'gateways',
    headStartMs: GATEWAYS_HEAD_START_MS,
    sources: () => gateways.filter(({ isResting }) => !isResting).map(sourceOf),
    open: (plan, options) => new GatewayRun(plan, gateways, options),
  }
}

class WrongBytes extends Error {}

class GatewayRun implements StepRun {
  readonly #plan: StepPlan
  readonly #gateways: readonly Gateway[]
  readonly #tally: Tally
  readonly #stop = new AbortController()
  #car: CarStream | undefined
  /** What a CAR was asked for: never twice, whatever came of it. At most as many as the fetch has nodes in line. */
  readonly #asked = new Set<string>()
  /** The one that answered last. */
  #lead: Gateway | undefined

  constructor(
    plan: StepPlan,
    gateways: readonly Gateway[],
    { order = [], tally = new Tally() }: StepOptions = {},
  ) {
    this.#plan = plan
    this.#tally = tally
    const places = new Map(order.map((id, place) => [id, place]))
    const placeOf = ({ url }: Gateway): number => places.get(url) ?? places.size
    this.#gateways = gateways.toSorted((a, b) => placeOf(a) - placeOf(b))
  }

  async fetch(cid: CID, options: { signal: AbortSignal }): Promise<FoundBlock> {
    const signal = AbortSignal.any([options.signal, this.#stop.signal])
    const car = this.#carFor(cid)
    if (car !== undefined) {
      // A CAR without it says nothing: the block is asked for by itself.
      const taken = await this.#tally.ask(
        sourceOf(car.gateway),
        options.signal,
        () => car.take(cid, signal),
        missOf,
      )
      if (taken !== undefined) return this.#found(car.gateway, taken)
    }
    return this.#block(cid, signal, options.signal)
  }

  close(): void {
    this.#stop.abort()
    this.#car?.close()
  }

  /** The CAR that may bring it: the one on its way, or a new one where none is and there is something below. */
  #carFor(cid: CID): CarStream | undefined {
    if (this.#car?.mayBring(cid) === true) return this.#car
    if (this.#car?.hasEnded === false || !mayHaveLinks(cid) || this.#asked.has(keyOf(cid))) return undefined
    const request = this.#requestOf(cid)
    const gateway = this.#ranked().find(({ makesCars }) => makesCars)
    if (request === undefined || gateway === undefined) return undefined
    this.#asked.add(keyOf(cid))
    const car = new CarStream(gateway, request)
    this.#car = car
    return car
  }

  /** What is wanted of the DAG below a block, where that is more than the block. */
  #requestOf(cid: CID): CarRequest | undefined {
    const { scope, dag, range } = this.#plan
    if (scope === 'all') return { cid, scope }
    if (scope === 'block' || keyOf(cid) !== keyOf(dag)) return undefined
    return { cid, scope, range }
  }

  /** From one gateway after the other. */
  async #block(cid: CID, signal: AbortSignal, asked: AbortSignal): Promise<FoundBlock> {
    const answers: string[] = []
    for (const gateway of this.#ranked()) {
      try {
        const bytes = await this.#tally.ask(
          sourceOf(gateway),
          asked,
          () => this.#verified(gateway, cid, signal),
          missOf,
        )
        return this.#found(gateway, bytes)
      } catch (error) {
        signal.throwIfAborted()
        answers.push((error as Error).message)
      }
    }
    throw new Error(answers.length === 0 ? 'all gateways rest after failures' : answers.join(', '))
  }

  async #verified(gateway: Gateway, cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    const bytes = await this.#blockFrom(gateway, cid, signal)
    if (!matches(cid, bytes)) {
      gateway.failed()
      throw new WrongBytes(`${gateway.name} sent wrong bytes`)
    }
    gateway.succeeded()
    return bytes
  }

  /** Once more where the failure says nothing of the block. */
  async #blockFrom(gateway: Gateway, cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    try {
      return await gateway.block(cid, signal)
    } catch (error) {
      signal.throwIfAborted()
      const hasAnswered = error instanceof P2pnodeError && error.details['status'] !== undefined
      if (hasAnswered || gateway.isResting) throw error
      await sleep(RETRY_AFTER_MS, undefined, { signal })
      return gateway.block(cid, signal)
    }
  }

  #found(gateway: Gateway, bytes: Uint8Array): FoundBlock {
    this.#lead = gateway
    return { bytes, from: gateway.name }
  }

  #ranked(): Gateway[] {
    const awake = this.#gateways.filter((gateway) => !gateway.isResting)
    const lead = this.#lead
    return lead === undefined || lead.isResting ? awake : [lead, ...awake.filter((other) => other !== lead)]
  }
}

function sourceOf({ url }: Gateway): Candidate {
  return { kind: 'gateway', id: url }
}

/** One that answered with a status has said that it does not have it. */
function missOf(error: unknown): Miss {
  if (error instanceof WrongBytes) return 'invalid'
  const hasAnswered = error instanceof P2pnodeError && error.details['status'] !== undefined
  return hasAnswered ? 'missing' : 'failed'
}
