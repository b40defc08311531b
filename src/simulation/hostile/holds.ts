import type { Hold, HostileReport, Reads } from './types.ts'
import { losesColumns } from './ways.ts'

/** What has to be true with trust on, however the third of the peers is hostile. */
const LEAST_RIGHT = 0.999
const MOST_HOSTILE_PLACED = 0.05

/** By the end: the rounds that new placements are looked at over. Two, since one of a small network has few. */
const LAST_ROUNDS = 2

export function holdsOf(report: Omit<HostileReport, 'holds'>, warmUpRounds: number): Hold[] {
  const { rounds, k, n, ways } = report
  const measured = rounds.slice(warmUpRounds)
  const last = rounds.slice(-LAST_ROUNDS)
  const reads = sumOf(measured.map(({ reads: each }) => each))
  const publicReads = sumOf(measured.map(({ publicReads: each }) => each))
  const holds: Hold[] = [
    atLeast('reads of private files put after the warm-up', shareOf(reads), LEAST_RIGHT),
    atLeast('reads of public files after the warm-up', shareOf(publicReads), LEAST_RIGHT),
    atMost(
      'puts and adds after the warm-up that failed',
      measured.reduce((sum, { failedPuts }) => sum + failedPuts, 0),
      0,
    ),
    atMost(
      'honest peers that an honest one has banned',
      Math.max(0, ...rounds.map(({ scores }) => scores.honestBanned)),
      0,
    ),
    atMost(
      'columns of one slab on holders that proved nothing',
      Math.max(0, ...last.map(({ mostUnproven }) => mostUnproven)),
      Math.floor((n - k) / 2),
    ),
  ]
  if (ways.some(losesColumns)) {
    const placed = last.reduce((sum, round) => sum + round.placed, 0)
    const hostile = last.reduce((sum, round) => sum + round.placedHostile, 0)
    holds.push(
      atMost(
        'part of new columns on hostile peers',
        placed === 0 ? 0 : hostile / placed,
        MOST_HOSTILE_PLACED,
      ),
    )
  }
  return holds
}

export function sumOf(reads: readonly Reads[]): Reads {
  return {
    attempted: reads.reduce((sum, { attempted }) => sum + attempted, 0),
    right: reads.reduce((sum, { right }) => sum + right, 0),
  }
}

/** Nothing attempted shows nothing, and counts as nothing right. */
export function shareOf({ attempted, right }: Reads): number {
  return attempted === 0 ? 0 : right / attempted
}

function atLeast(name: string, value: number, bound: number): Hold {
  return { name, value, hold: { atLeast: bound }, holds: value >= bound }
}

function atMost(name: string, value: number, bound: number): Hold {
  return { name, value, hold: { atMost: bound }, holds: value <= bound }
}
