import { Check } from 'typebox/value'
import type { Key } from './keys.ts'
import { formatNumber } from './leaves.ts'
import type { Leaf, WrittenValue } from './leaves.ts'
import { shown } from './problems.ts'
import { SCHEDULE_FORM } from './schedule.ts'
import { parseDuration, parseRate, parseSize } from './units.ts'

/** A percentage of another key's value, not yet resolved. */
export interface Percentage {
  readonly percent: number
}

/** A checked value on its way into `Config`. */
export type Value = string | number | boolean | readonly string[] | Percentage

export type Reading = { ok: true; value: Value } | { ok: false; message: string }

/** Reads a value from an environment variable or flag, where everything is text and a list is JSON. */
export function readText(key: Key, text: string): Reading {
  switch (key.leaf.written) {
    case 'boolean':
      return readValue(key, text === 'true' ? true : text === 'false' ? false : text)
    case 'integer':
    case 'number':
      return readValue(key, /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text)
    case 'multiaddrs':
    case 'bootstrap':
    case 'gateways':
    case 'schedule':
    case 'peers':
    case 'iceServers':
    case 'hosts':
    case 'cids':
    case 'dnslinks':
      return readValue(key, parseJson(text))
    default:
      return readValue(key, text)
  }
}

/** Reads a value as `config.yaml` or a profile holds it. */
export function readValue(key: Key, written: unknown): Reading {
  const { leaf } = key
  const value = inside(leaf, written)
  const valid = value !== undefined && (isPercentage(value) || isUnlimited(leaf, value) || Check(leaf, value))
  if (!valid) return { ok: false, message: `found ${shown(written)}, allowed: ${allowed(leaf)}` }
  return { ok: true, value: Array.isArray(value) ? Object.freeze(value) : (value as Value) }
}

export function isPercentage(value: unknown): value is Percentage {
  return typeof value === 'object' && value !== null && 'percent' in value
}

/** The written form of a value of `Config`; reading it again gives the same value. */
export function writeValue(leaf: Leaf, value: unknown): WrittenValue {
  switch (leaf.written) {
    case 'duration':
    case 'size':
    case 'share':
    case 'rate':
      return formatNumber(leaf.written, value as number)
    default:
      return value as WrittenValue
  }
}

/** What a key accepts, for people: `a duration from 1s to 400d, such as 90d`. */
export function allowed(leaf: Leaf): string {
  const example = `such as ${Array.isArray(leaf.default) ? JSON.stringify(leaf.default) : String(leaf.default)}`
  switch (leaf.written) {
    case 'text':
      return `${leaf.form} (at most ${leaf.maxLength} characters)`
    case 'integer':
      return `a whole number ${range(leaf)}`
    case 'number':
      return `a number ${range(leaf)}`
    case 'boolean':
      return 'true or false'
    case 'choice':
      return `one of ${leaf.enum?.join(', ')}`
    case 'duration':
      return `a duration ${range(leaf)} with its unit (ms, s, m, h, d), ${example}`
    case 'size':
      return `a size ${range(leaf)} with its unit (B, KiB, MiB, GiB, TiB, PiB), ${example}`
    case 'share':
      return `a size ${range(leaf)} such as 20GiB, or a percentage of ${leaf.of} ${example}`
    case 'rate':
      return `a rate ${range(leaf)}, such as 20MiB/s`
    case 'multiaddrs':
      return 'a list of different multiaddrs, such as ["/ip4/0.0.0.0/tcp/4700"]'
    case 'bootstrap':
      return 'a list of different multiaddrs that end in /p2p/PEER, such as ["/dns4/node.example/tcp/4700/p2p/12D3KooW…"]'
    case 'gateways':
      return 'a list of different http or https URLs, such as ["https://gateway.example"]'
    case 'schedule':
      return `a list of different entries, each ${SCHEDULE_FORM}`
    case 'peers':
      return 'a list of different peer ids, such as ["12D3KooW…"]'
    case 'iceServers':
      return 'a list of different STUN servers, such as ["stun:stun.example:3478"]'
    case 'hosts':
      return 'a list of different host names, such as ["gateway.example"]'
    case 'cids':
      return 'a list of different CIDs, such as ["bafkrei…"]'
    case 'dnslinks':
      return 'a list of different DOMAIN=PATH, such as ["docs.example=/ipfs/bafy…"]'
  }
}

/** From the written form to the one inside, or undefined where the form is wrong; bounds are checked by the schema. */
function inside(leaf: Leaf, written: unknown): unknown {
  switch (leaf.written) {
    case 'duration':
      return parseDuration(quantityText(written))
    case 'size':
      return parseSize(quantityText(written))
    case 'rate':
      return parseRate(quantityText(written))
    case 'share':
      return parsePercentage(written) ?? parseSize(quantityText(written))
    default:
      return written
  }
}

/** YAML and JSON give the number 0 for `0`, which needs no unit; any other bare number lacks one. */
function quantityText(written: unknown): string {
  return written === 0 ? '0' : typeof written === 'string' ? written : ''
}

function parsePercentage(written: unknown): Percentage | undefined {
  const match = typeof written === 'string' ? /^(\d{1,3})%$/.exec(written) : null
  const percent = Number(match?.[1])
  return match !== null && percent <= 100 ? { percent } : undefined
}

/** JSON Schema has no infinite numbers, so the missing upper bound of a rate stands for them. */
function isUnlimited(leaf: Leaf, value: unknown): boolean {
  return leaf.written === 'rate' && leaf.maximum === undefined && value === Number.POSITIVE_INFINITY
}

function range(leaf: Leaf): string {
  const minimum = formatNumber(leaf.written, leaf.minimum as number)
  const maximum = formatNumber(leaf.written, leaf.maximum ?? Number.POSITIVE_INFINITY)
  return maximum === 'unlimited' ? `from ${minimum}, or unlimited` : `from ${minimum} to ${maximum}`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
