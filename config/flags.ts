import { LayerReader } from './assignments.ts'
import type { LayerReading } from './assignments.ts'

/** What the command line says about configuration. */
export interface Flags {
  /** `--set KEY=VALUE`, in order; the last of a key wins. */
  set?: readonly string[] | undefined
  /** `--listen MULTIADDR`: replaces the list. */
  listen?: readonly string[] | undefined
  /** `--bootstrap MULTIADDR`: replaces the list. */
  bootstrap?: readonly string[] | undefined
  role?: string | undefined
}

/** Reads the flags; a key that is set both by its own flag and by `--set` is a problem, since neither can be meant. */
export function readFlags(flags: Flags): LayerReading {
  const reader = new LayerReader()
  const own = {
    role: { flag: '--role', value: flags.role },
    'network.listen': { flag: '--listen', value: given(flags.listen) },
    'network.bootstrap': { flag: '--bootstrap', value: given(flags.bootstrap) },
  }
  for (const [path, { flag, value }] of Object.entries(own)) {
    if (value !== undefined) reader.assignValue(path, value, { layer: 'flag', where: flag })
  }
  for (const pair of flags.set ?? []) {
    const at = pair.indexOf('=')
    const path = at < 0 ? pair : pair.slice(0, at)
    const where = `--set ${path}`
    const rival = own[path as keyof typeof own]
    if (at < 0) reader.problem(null, 'found no "=", allowed: --set KEY=VALUE', where)
    else if (rival?.value !== undefined)
      reader.problem(path, `set twice: by ${rival.flag} and by --set`, where)
    else reader.assignText(path, pair.slice(at + 1), { layer: 'flag', where })
  }
  return reader
}

/** Parsers give an empty list for a flag that was not used. */
function given(values: readonly string[] | undefined): readonly string[] | undefined {
  return values === undefined || values.length === 0 ? undefined : values
}
