import { LayerReader } from './assignments.ts'
import type { LayerReading } from './assignments.ts'
import { KEYS, VARIABLE_PREFIX } from './keys.ts'
import { didYouMean } from './suggest.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Variables of ours that are not configuration keys: the command line and the identity read them. */
export const RESERVED_VARIABLES: ReadonlySet<string> = new Set([
  'P2PNODE_HOME',
  'P2PNODE_API',
  'P2PNODE_TOKEN',
  'P2PNODE_PASSPHRASE',
])

/**
 * Kubernetes and Docker links put variables named after a service into every container beside it. A service called
 * "p2pnode" must not keep the node from starting.
 */
const SERVICE_LINK =
  /^P2PNODE_(SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP)(_(ADDR|PORT|PROTO))?)?)$/

/** Reads every `P2PNODE_…` variable; an unknown one is a problem, so that a typing error never passes in silence. */
export function readEnvironment(env: Environment): LayerReading {
  const reader = new LayerReader()
  const paths = new Map([...KEYS.values()].map(({ variable, path }) => [variable, path]))
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(VARIABLE_PREFIX) || text === undefined) continue
    if (RESERVED_VARIABLES.has(name) || SERVICE_LINK.test(name)) continue
    const path = paths.get(name)
    if (path === undefined) {
      const suggestion = didYouMean(name, [...paths.keys(), ...RESERVED_VARIABLES])
      reader.problem(null, `unknown environment variable${suggestion}`, name)
    } else {
      reader.assignText(path, text, { layer: 'environment', where: name })
    }
  }
  return reader
}
