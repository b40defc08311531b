/** Makes room for one more entry in a map or set that holds at most `max`: what was put in first goes. */
export function forgetOldest<Key>(
  entries: { readonly size: number; keys(): Iterator<Key>; delete(key: Key): boolean },
  max: number,
): void {
  if (entries.size < max) return
  const oldest = entries.keys().next()
  if (oldest.done !== true) entries.delete(oldest.value)
}
