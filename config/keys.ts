import type { TObject } from 'typebox'
import type { Leaf } from './leaves.ts'
import { schema, UNIT_SUFFIXES } from './schema.ts'
import type { KeyPath } from './schema.ts'

/** One key of the schema with everything that is derived from its place. */
export interface Key {
  readonly path: KeyPath
  readonly leaf: Leaf
  /** Where the value lies in `Config`: `['storage', 'quotaBytes']`. */
  readonly place: readonly string[]
  /** `P2PNODE_STORAGE_QUOTA` */
  readonly variable: string
}

/** Prefix of every environment variable that is ours. */
export const VARIABLE_PREFIX = 'P2PNODE_'

/** Every key in the order of the schema, by its path. */
export const KEYS: ReadonlyMap<string, Key> = new Map(collect(schema, []).map((key) => [key.path, key]))

/** Paths of the sections: `network`, `content.steps`, … */
export const SECTIONS: ReadonlySet<string> = new Set(
  [...KEYS.keys()].flatMap((path) => {
    const names = path.split('.')
    return names.slice(1).map((_, index) => names.slice(0, index + 1).join('.'))
  }),
)

/** `network.maxConnections` → `P2PNODE_NETWORK_MAX_CONNECTIONS` */
export function variableOf(path: string): string {
  return (
    VARIABLE_PREFIX +
    path
      .replaceAll('.', '_')
      .replaceAll(/([A-Z])/g, '_$1')
      .toUpperCase()
  )
}

function collect(section: TObject, parents: string[]): Key[] {
  return Object.entries(section.properties).flatMap(([name, child]) => {
    const names = [...parents, name]
    if ('properties' in child) return collect(child as TObject, names)
    const leaf = child as Leaf
    const suffix = UNIT_SUFFIXES[leaf.written as keyof typeof UNIT_SUFFIXES] ?? ''
    const path = names.join('.') as KeyPath
    return [{ path, leaf, place: [...parents, name + suffix], variable: variableOf(path) }]
  })
}
