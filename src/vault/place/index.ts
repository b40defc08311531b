import type { PeerId } from '@libp2p/interface'
import type { Capacity, Chunk, StorePurpose } from '../../../protocols/chunk/types.ts'
import type { Policy, Proofs, Scores } from '../../trust/contract.ts'
import type { Candidate, Placer } from '../contracts.ts'
import { networkOf, type Placeable, spread } from './diversity.ts'
import { mostUnproven, withNewcomersShare } from './newcomers.ts'
import { rendezvousOrder } from './order.ts'
import { chooseRedundancy } from './redundancy.ts'
import { Survey } from './survey.ts'

export { tooFewHolders } from './errors.ts'
export { CODED_FROM, parseRedundancy, writtenForm } from './redundancy.ts'

export interface PlacerDependencies {
  chunk: Pick<Chunk, 'peers' | 'capacity'>
  trust: Policy & Scores & Proofs
  /** This node's own peer id: never a holder of what it puts. */
  self: string
  /** The IP address of a connected peer, where it has one. */
  addressOf(peer: PeerId): string | undefined
  /** Looks for further peers until so many that speak the protocol are connected; bounded in time by itself. */
  seek?(count: number, signal: AbortSignal): Promise<void>
}

/** A score of 0 must not make a weight of 0, with which all keys are equal. */
const LEAST_SCORE = 0.001

/** Chooses holders among connected peers; see contracts.ts. */
export function createPlacer(dependencies: PlacerDependencies): Placer {
  const { chunk, trust, self, addressOf } = dependencies
  const survey = new Survey(chunk)
  /** Of the last survey: for the message of a refusal. */
  let reasons: string[] = []

  const judge = (
    name: string,
    capacity: Capacity | undefined,
    columnBytes: number,
    purpose: StorePurpose,
  ): number | string => {
    const decision = trust.decide(name, 'place')
    if (!decision.allowed) return `policy refuses it (${decision.reason})`
    if (capacity === undefined) return 'it did not say in time what it offers'
    if (!capacity.accepts) return 'it lends no storage now'
    const freeBytes = purpose === 'put' ? capacity.freeBytes : capacity.repairFreeBytes
    return freeBytes < columnBytes
      ? `it has room for ${freeBytes} bytes, and ${columnBytes} are needed`
      : freeBytes
  }

  /** Who is eligible now, and those who hold already. */
  const judged = async (asked: Parameters<Placer['candidates']>[0]) => {
    const { columnBytes, purpose, exclude, signal } = asked
    const found: (Candidate & Placeable & { name: string; weight: number })[] = []
    const present: Placeable[] = []
    const refused: string[] = []
    for (const { peer, capacity } of await survey.all(signal)) {
      const name = peer.toString()
      if (name === self) continue
      const placeable = { network: networkOf(addressOf(peer)), isProven: trust.isProven(name) }
      if (exclude.has(name)) {
        present.push(placeable)
        continue
      }
      const freeBytes = judge(name, capacity, columnBytes, purpose)
      if (typeof freeBytes === 'string') {
        refused.push(`${name}: ${freeBytes}`)
        continue
      }
      // Proportional to the room, so that all fill up alike, and to the score.
      const weight = Math.max(1, freeBytes) * Math.max(LEAST_SCORE, trust.score(name, 'storage'))
      found.push({ peer, name, freeBytes, weight, ...placeable })
    }
    reasons = refused
    return { found, present, refused: refused.length }
  }

  return {
    async candidates(asked) {
      const { group, n, k, exclude, signal, atLeast = n } = asked
      let surveyed = await judged(asked)
      if (surveyed.found.length + exclude.size < atLeast && dependencies.seek !== undefined) {
        // A node that just started knows only those it was told of; the others are a walk away.
        await dependencies.seek(atLeast + surveyed.refused, signal)
        surveyed = await judged(asked)
      }
      const { found, present } = surveyed
      const ordered = rendezvousOrder(group, withNewcomersShare(found))
      const bound = k === undefined ? {} : { mostUnproven: mostUnproven({ k, n }) }
      return spread(ordered, n, { present, ...bound }).map(({ peer, freeBytes }) => ({ peer, freeBytes }))
    },

    redundancy: (written, count, allowDegraded) => chooseRedundancy(written, count, allowDegraded, reasons),
  }
}
