import type { Assignment, Layer, LayerReading, Source } from './assignments.ts'
import { KEYS } from './keys.ts'
import type { Key } from './keys.ts'
import { transportOf } from './listen.ts'
import { ConfigError } from './problems.ts'
import type { Problem } from './problems.ts'
import type { Differences } from './profiles/differences.ts'
import { MODE_PROFILES, ROLE_PROFILES } from './profiles/index.ts'
import { checkMultiaddrs, checkRules } from './rules.ts'
import type { Sources } from './rules.ts'
import type { Config, KeyPath } from './schema.ts'
import { isPercentage, readValue } from './values.ts'
import type { Value } from './values.ts'

export interface Resolution {
  readonly config: Config
  /** Where each key's value came from; every key is there. */
  readonly sources: Sources
}

interface Origin {
  value: Value
  source: Source
}

type Values = Map<KeyPath, Origin>

/**
 * Puts the layers together: defaults, then what the mode and the role change, then `layers` in order (file, environment,
 * flags). A key of a later layer replaces that of an earlier one whole; lists are not joined.
 *
 * @throws ConfigError with every problem of every layer, those of values that a later layer replaces included
 */
export async function resolve(layers: readonly LayerReading[]): Promise<Resolution> {
  const problems = layers.flatMap((layer) => layer.problems)
  const asked = layers.flatMap((layer) => layer.assignments)
  const values = merge(asked)
  const resolution = { config: freeze(build(values)), sources: sourcesOf(values) }
  problems.push(...checkRules(resolution.config, resolution.sources))
  problems.push(...(await checkMultiaddrs(resolution.config, resolution.sources)))
  if (problems.length > 0) throw new ConfigError(withoutRepeats(problems))
  return resolution
}

function merge(asked: readonly Assignment[]): Values {
  const defaults: Values = new Map(
    [...KEYS.values()].map((key) => [key.path, own(key, key.leaf.default, 'default', 'default')]),
  )
  const chosen = <T>(path: KeyPath) =>
    (asked.findLast(({ key }) => key.path === path)?.value ?? defaults.get(path)?.value) as T
  const mode = chosen<Config['network']['mode']>('network.mode')
  const role = chosen<Config['role']>('role')
  const values: Values = new Map([
    ...defaults,
    ...profile(MODE_PROFILES[mode], 'mode', `network.mode ${mode}`),
    ...profile(ROLE_PROFILES[role], 'role', `role ${role}`),
    ...asked.map(({ key, value, source }) => [key.path, { value, source }] as const),
  ])
  giveWay(values)
  leaveOut(values)
  return values
}

function profile(differences: Differences, layer: Layer, where: string): [KeyPath, Origin][] {
  return Object.entries(differences).map(([path, written]) => {
    const key = KEYS.get(path) as Key
    return [key.path, own(key, written, layer, where)]
  })
}

/** A value of our own tables; that they are valid is a matter of this code, not of the operator. */
function own(key: Key, written: unknown, layer: Layer, where: string): Origin {
  const reading = readValue(key, written)
  if (!reading.ok) throw new TypeError(`${where}: ${key.path}: ${reading.message}`)
  return { value: reading.value, source: { layer, where } }
}

/**
 * Whoever asks for at most five connections has not asked for at least eight: a minimum that nobody set gives way to a
 * maximum that somebody did.
 */
function giveWay(values: Values): void {
  const minimum = values.get('network.minConnections') as Origin
  const maximum = values.get('network.maxConnections') as Origin
  if (!isOurs(minimum) || (minimum.value as number) <= (maximum.value as number)) return
  const where = `${minimum.source.where}, lowered to network.maxConnections`
  values.set('network.minConnections', {
    value: maximum.value,
    source: { layer: minimum.source.layer, where },
  })
}

/**
 * Whoever switches a transport off has not asked for its default address: it falls out. An address that somebody wrote
 * beside the switch is a contradiction, which the rules name.
 */
function leaveOut(values: Values): void {
  const listen = values.get('network.listen') as Origin
  const addresses = listen.value as readonly string[]
  const kept = addresses.filter((address) => {
    const name = transportOf(address)
    return name === undefined || values.get(`network.transports.${name}`)?.value !== false
  })
  if (!isOurs(listen) || kept.length === addresses.length) return
  const where = `${listen.source.where}, less the transports that are off`
  values.set('network.listen', { value: Object.freeze(kept), source: { layer: listen.source.layer, where } })
}

/** Nobody wrote it: it comes from our tables. */
function isOurs({ source: { layer } }: Origin): boolean {
  return layer === 'default' || layer === 'role' || layer === 'mode'
}

function build(values: Values): Config {
  const config = {}
  for (const key of KEYS.values()) {
    const { value } = values.get(key.path) as Origin
    let section = config as Record<string, unknown>
    for (const name of key.place.slice(0, -1)) section = (section[name] ??= {}) as Record<string, unknown>
    section[key.place.at(-1) as string] = isPercentage(value) ? partOf(key, value.percent, values) : value
  }
  return config as Config
}

/** Rounded down, so that a part never exceeds the whole. Dividing first keeps the product a safe integer. */
function partOf(key: Key, percent: number, values: Values): number {
  const whole = values.get(key.leaf.of as KeyPath)?.value as number
  return Math.floor(whole / 100) * percent + Math.floor(((whole % 100) * percent) / 100)
}

function sourcesOf(values: Values): Sources {
  return new Map([...values].map(([path, { source }]) => [path, Object.freeze(source)]))
}

/** A rule may find in the merged whole what a layer has already said about its own key. */
function withoutRepeats(problems: readonly Problem[]): Problem[] {
  const keys = new Set<string>()
  return problems.filter((problem) => {
    const id = JSON.stringify([problem.key, problem.where, problem.message])
    return !keys.has(id) && keys.add(id)
  })
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(freeze)
  return value
}
