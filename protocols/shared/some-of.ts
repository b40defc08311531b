import { randomInt } from 'node:crypto'

/** At most `count` of the items, chosen at random. */
export function someOf<T>(items: readonly T[], count: number): T[] {
  const left = [...items]
  const chosen: T[] = []
  while (chosen.length < count && left.length > 0) {
    const [item] = left.splice(randomInt(left.length), 1)
    chosen.push(item as T)
  }
  return chosen
}
