/**
 * The part of slabs that can be read where `lost` of `holders` keep nothing and nobody knows whom to believe: each slab lies on n
 * holders drawn blindly, and k of them must have theirs. The hypergeometric distribution: 1 − P(X > n − k).
 */
export function readableShare(asked: { holders: number; lost: number; k: number; n: number }): number {
  const { holders, lost, k, n } = asked
  let share = 0
  for (let bad = 0; bad <= n - k; bad++)
    share += Math.exp(logChoose(lost, bad) + logChoose(holders - lost, n - bad) - logChoose(holders, n))
  return Math.min(1, share)
}

/** ln of the binomial coefficient; −∞ where there is no such choice. */
function logChoose(of: number, taken: number): number {
  if (taken < 0 || taken > of) return Number.NEGATIVE_INFINITY
  let sum = 0
  for (let at = 1; at <= taken; at++) sum += Math.log(of - taken + at) - Math.log(at)
  return sum
}
