/** What only the whole of a manifest can show to be wrong. By turns: a tree may have a million entries. */
import { vaultInvalid } from './errors.ts'
import { MAX_ENTRIES, TURN_MS } from './limits.ts'
import { dataSlabs } from './map.ts'
import type { ManifestBody, ManifestEntry, ManifestMap } from './types.ts'

/** Entries between two looks at the clock, unless their paths are long. */
const ENTRIES_BETWEEN = 16
const LONG_PATH_CHARS = 256

/**
 * Gives the event loop to others whenever the caller has held it for a turn.
 *
 * @throws the signal's reason
 */
export function turns(signal: AbortSignal): () => Promise<void> {
  let sinceMs = performance.now()
  return async () => {
    if (performance.now() - sinceMs < TURN_MS) return
    await new Promise((resolve) => setImmediate(resolve))
    signal.throwIfAborted()
    sinceMs = performance.now()
  }
}

/** @throws ERR_VAULT_INVALID */
export async function checkManifest(
  map: ManifestMap,
  body: ManifestBody,
  signal: AbortSignal,
): Promise<void> {
  const turn = turns(signal)
  if (dataSlabs(map) !== body.slabs.length) {
    throw vaultInvalid('map and body of the manifest differ in the number of slabs')
  }
  const seen = new Set<string>()
  for (const { slabs } of map.groups) {
    for (const slab of slabs)
      seen.add(Buffer.from(slab.buffer, slab.byteOffset, slab.length).toString('latin1'))
    await turn()
  }
  if (seen.size !== body.slabs.length) throw vaultInvalid('the manifest names a slab twice')
  if (body.kind === 'file') {
    if (body.entries.length > 0) throw vaultInvalid('the manifest of a file has entries')
  } else {
    await checkTree(body, turn)
  }
}

/**
 * Files lie one after another in the stream, as their entries do: no byte is of two files, so that a small put cannot name
 * a large tree. Whatever stands above an entry is a folder, if it is named: nothing is written through a link.
 */
async function checkTree({ entries, size }: ManifestBody, turn: () => Promise<void>): Promise<void> {
  if (entries.length > MAX_ENTRIES)
    throw vaultInvalid(`the tree has ${entries.length} entries, over ${MAX_ENTRIES}`)
  const types = new Map<string, ManifestEntry['type']>()
  let offset = 0
  for (const [at, entry] of entries.entries()) {
    if (types.has(entry.path)) throw vaultInvalid('the tree names a path twice', { entry: at })
    types.set(entry.path, entry.type)
    if (entry.type === 'file') {
      if (entry.offset !== offset)
        throw vaultInvalid('a file of the tree is not where the one before it ends', { entry: at })
      offset += entry.size
    }
    if (at % ENTRIES_BETWEEN === 0) await turn()
  }
  if (offset !== size)
    throw vaultInvalid('the files of the tree do not fill its stream', { size, files: offset })
  for (const [at, { path }] of entries.entries()) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const above = types.get(path.slice(0, end))
      if (above !== undefined && above !== 'directory') {
        throw vaultInvalid('an entry of the tree lies within a file or a link', { entry: at })
      }
      // What is above the folder is looked at with its own entry.
      if (above !== undefined) break
    }
    if (at % ENTRIES_BETWEEN === 0 || path.length > LONG_PATH_CHARS) await turn()
  }
}
