import type { Source } from './assignments.ts'
import { KEYS } from './keys.ts'
import type { Key } from './keys.ts'
import type { WrittenValue } from './leaves.ts'
import { hideCredentials } from './problems.ts'
import type { Resolution } from './resolve.ts'
import type { Config, KeyPath } from './schema.ts'
import { writeValue } from './values.ts'

/** One key of a resolved configuration, as people and scripts see it. */
export interface Entry {
  readonly key: KeyPath
  /** In written form; credentials of URLs are hidden. */
  readonly value: WrittenValue
  readonly source: Source
  readonly description: string
  /** The environment variable that sets it. */
  readonly variable: string
}

/** Every key with its value in written form and its source, in the order of the schema. Secrets are hidden. */
export function describeConfig({ config, sources }: Resolution): Entry[] {
  return [...KEYS.values()].map((key) => ({
    key: key.path,
    value: hideSecrets(writeValue(key.leaf, valueAt(config, key))),
    source: sources.get(key.path) as Source,
    description: key.leaf.description,
    variable: key.variable,
  }))
}

/**
 * The entries as a YAML text that is itself a configuration file giving the same configuration (but for hidden secrets),
 * with each value's source in a comment.
 */
export function formatEntries(entries: readonly Entry[]): string {
  const lines: string[] = []
  let open: string[] = []
  for (const { key, value, source } of entries) {
    const names = key.split('.')
    const sections = names.slice(0, -1)
    const shared = sections.findIndex((name, depth) => open[depth] !== name)
    for (let depth = shared < 0 ? sections.length : shared; depth < sections.length; depth++) {
      lines.push(`${'  '.repeat(depth)}${sections[depth]}:`)
    }
    open = sections
    const indent = '  '.repeat(sections.length)
    const [first, ...items] = `${indent}${names.at(-1)}: ${formatYamlValue(value, indent)}`.split('\n')
    lines.push(`${first?.trimEnd()}  # ${source.where}`, ...items)
  }
  return `${lines.join('\n')}\n`
}

/** A value as YAML: scalars on the line, the items of a list below it. */
export function formatYamlValue(value: WrittenValue, indent: string): string {
  if (typeof value !== 'object') return formatScalar(value)
  if (value.length === 0) return '[]'
  return ['', ...value.map((item) => `${indent}  - ${formatScalar(item)}`)].join('\n')
}

/** Quoted wherever YAML's core schema could read the bare text as something else than this text. */
export function formatScalar(value: string | number | boolean): string {
  if (typeof value !== 'string') return String(value)
  const isPlain =
    /^[A-Za-z0-9/][A-Za-z0-9./_+@%-]*(:[A-Za-z0-9./_+@%-]+)*$/.test(value) &&
    Number.isNaN(Number(value)) &&
    !/^(true|false|null)$/i.test(value)
  return isPlain ? value : JSON.stringify(value)
}

function hideSecrets(value: WrittenValue): WrittenValue {
  return typeof value === 'object' ? value.map(hideCredentials) : value
}

function valueAt(config: Config, { place }: Key): unknown {
  return place.reduce<unknown>((section, name) => (section as Record<string, unknown>)[name], config)
}
