/** Longest text that is compared, in characters: no key or variable is near it. */
const MAX_COMPARED_CHARS = 100

/**
 * The candidate that whoever wrote `found` most likely meant, or undefined where none is near: the same but for case and
 * separators, the same last part (`quota` for `storage.quota`), or few changed letters.
 */
export function suggest(found: string, candidates: Iterable<string>): string | undefined {
  if (found.length > MAX_COMPARED_CHARS) return undefined
  const wanted = simplify(found)
  const mayDiffer = Math.max(1, Math.floor(wanted.length / 4))
  let best: { candidate: string; distance: number } | undefined
  for (const candidate of candidates) {
    const distance = Math.min(
      editDistance(wanted, simplify(candidate)),
      // A match of the last part alone is a guess: it loses against an equally near match of the whole.
      editDistance(wanted, simplify(candidate.slice(candidate.lastIndexOf('.') + 1))) + 0.5,
    )
    if (distance <= mayDiffer + 0.5 && (best === undefined || distance < best.distance))
      best = { candidate, distance }
  }
  return best?.candidate
}

/** `; did you mean "storage.quota"?` or nothing. */
export function didYouMean(found: string, candidates: Iterable<string>): string {
  const suggestion = suggest(found, candidates)
  return suggestion === undefined ? '' : `; did you mean ${suggestion}?`
}

function simplify(text: string): string {
  return text.toLowerCase().replaceAll(/[-_\s]/g, '')
}

/** Levenshtein distance by the two-row method (Wagner and Fischer, 1974). */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitute = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(substitute, (previous[j] as number) + 1, (current[j - 1] as number) + 1))
    }
    previous = current
  }
  return previous[b.length] as number
}
