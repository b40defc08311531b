import type { TrustService } from '../../trust/index.ts'
import type { ScoreSample } from './types.ts'

/** Of one node more than this is never known here: there are at most 200. */
const PAGE_PEERS = 1_000

/** What honest nodes think of others, by what they have seen themselves. */
export function scoresOf(
  honest: readonly Pick<TrustService, 'peers'>[],
  isHostile: (peer: string) => boolean | undefined,
): ScoreSample {
  const ofHonest: { score: number; storage: number }[] = []
  const ofHostile: { score: number; storage: number }[] = []
  let honestBanned = 0
  let hostileBanned = 0
  for (const trust of honest) {
    for (const { peer, score, storageScore, bannedUntilMs } of trust.peers({ limit: PAGE_PEERS }).peers) {
      const hostile = isHostile(peer)
      if (hostile === undefined) continue
      const group = hostile ? ofHostile : ofHonest
      group.push({ score, storage: storageScore })
      if (bannedUntilMs === null) continue
      if (hostile) hostileBanned += 1
      else honestBanned += 1
    }
  }
  return {
    honest: mean(ofHonest.map(({ score }) => score)),
    leastHonest: ofHonest.length === 0 ? null : Math.min(...ofHonest.map(({ score }) => score)),
    hostile: mean(ofHostile.map(({ score }) => score)),
    honestStorage: mean(ofHonest.map(({ storage }) => storage)),
    hostileStorage: mean(ofHostile.map(({ storage }) => storage)),
    honestBanned,
    hostileBanned,
  }
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length
}
