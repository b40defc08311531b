import { forgetOldest } from '../../../protocols/shared/forget-oldest.ts'
import { FOLLOWS_WITHIN_MS, MAX_COUNT, MAX_FOLLOWERS, MAX_LEADERS, MIN_FOLLOWS, MIN_SHARE } from './limits.ts'

interface Leader {
  readings: number
  /** By what was read next, how often. */
  followers: Map<string, number>
}

/**
 * What is usually read after what: the next file of a folder, the next part of a series. Learned from readings alone, so that
 * neighbours in a folder are found as well as what people open together.
 */
export class Followers {
  readonly #leaders = new Map<string, Leader>()
  #last: { key: string; atMs: number } | undefined

  get size(): number {
    return this.#leaders.size
  }

  read(key: string, nowMs: number): void {
    const last = this.#last
    this.#last = { key, atMs: nowMs }
    if (last === undefined || last.key === key || nowMs - last.atMs > FOLLOWS_WITHIN_MS) return
    const leader = this.#leaders.get(last.key) ?? { readings: 0, followers: new Map<string, number>() }
    // Put in again, so that those that lead nowhere for long are forgotten first.
    this.#leaders.delete(last.key)
    forgetOldest(this.#leaders, MAX_LEADERS)
    this.#leaders.set(last.key, leader)
    leader.readings += 1
    leader.followers.set(key, (leader.followers.get(key) ?? 0) + 1)
    if (leader.followers.size > MAX_FOLLOWERS) dropLeast(leader.followers, key)
    if (leader.readings > MAX_COUNT) halve(leader)
  }

  /** What is likely to be read after `key`, the likeliest first, with its share of readings. */
  after(key: string): { key: string; share: number }[] {
    const leader = this.#leaders.get(key)
    if (leader === undefined) return []
    return [...leader.followers]
      .map(([follower, count]) => ({ key: follower, count, share: count / leader.readings }))
      .filter(({ count, share }) => count >= MIN_FOLLOWS && share >= MIN_SHARE)
      .toSorted((a, b) => b.share - a.share)
      .map(({ key, share }) => ({ key, share }))
  }
}

/** The new one stays: it could never grow otherwise. */
function dropLeast(followers: Map<string, number>, kept: string): void {
  let least: string | undefined
  let leastCount = Number.POSITIVE_INFINITY
  for (const [key, count] of followers) {
    if (key === kept || count >= leastCount) continue
    least = key
    leastCount = count
  }
  if (least !== undefined) followers.delete(least)
}

function halve(leader: Leader): void {
  leader.readings = Math.ceil(leader.readings / 2)
  for (const [key, count] of leader.followers) {
    if (count <= 1) leader.followers.delete(key)
    else leader.followers.set(key, Math.floor(count / 2))
  }
}
