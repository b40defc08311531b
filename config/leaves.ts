import { Array as List, Boolean, Enum, Integer, Number as Real, String as Text } from 'typebox'
import type { TArray, TBoolean, TEnum, TInteger, TNumber, TSchema, TString } from 'typebox'
import { formatDuration, formatRate, formatSize, parseDuration, parseRate, parseSize } from './units.ts'

/**
 * The kinds of values that a configuration key can have. Each is a JSON Schema of the value *inside* the daemon (a
 * duration is an integer of milliseconds) with one annotation, `written`, for the form in which an operator writes it.
 *
 * - `share`: a size, or a percentage of another key's size; inside it is bytes
 * - `multiaddrs`, `gateways`, `schedule`, `peers`, `iceServers`, `hosts`, `cids`, `dnslinks`: lists of text,
 *   each item checked as what its name says
 */
export type Written =
  | 'text'
  | 'integer'
  | 'number'
  | 'boolean'
  | 'choice'
  | 'duration'
  | 'size'
  | 'share'
  | 'rate'
  | 'multiaddrs'
  | 'bootstrap'
  | 'gateways'
  | 'schedule'
  | 'peers'
  | 'iceServers'
  | 'hosts'
  | 'cids'
  | 'dnslinks'

/** What every key says about itself; `description` is one sentence for the operator. */
export interface LeafOptions<Default> {
  description: string
  default: Default
}

interface Annotation<W extends Written> {
  written: W
  description: string
  /** In written form. */
  default: WrittenValue
}

/** A value as it stands in `config.yaml`. */
export type WrittenValue = string | number | boolean | readonly string[]

/** Any key's schema, with the keywords that some kinds have. */
export type Leaf = TSchema &
  Annotation<Written> & {
    minimum?: number
    /** Missing: a rate may be `unlimited`. */
    maximum?: number
    enum?: readonly string[]
    maxLength?: number
    /** What a text's pattern means, for people. */
    form?: string
    /** The key whose value a percentage is of. */
    of?: string
  }

/** Longest list an operator may write: nobody types more addresses, and each is dialled or listened on. */
const MAX_LIST_ITEMS = 256
/** Longest item of a list in characters: relayed multiaddrs with certificate hashes stay below 500. */
const MAX_ITEM_CHARS = 1024

export function text(
  options: LeafOptions<string> & { pattern: string; form: string; maxLength: number },
): TString & Annotation<'text'> {
  return Text({ ...options, written: 'text' }) as TString & Annotation<'text'>
}

export function integer(
  options: LeafOptions<number> & { minimum: number; maximum: number },
): TInteger & Annotation<'integer'> {
  return Integer({ ...options, written: 'integer' }) as TInteger & Annotation<'integer'>
}

export function number(
  options: LeafOptions<number> & { minimum: number; maximum: number },
): TNumber & Annotation<'number'> {
  return Real({ ...options, written: 'number' }) as TNumber & Annotation<'number'>
}

export function boolean(options: LeafOptions<boolean>): TBoolean & Annotation<'boolean'> {
  return Boolean({ ...options, written: 'boolean' }) as TBoolean & Annotation<'boolean'>
}

export function choice<const Values extends string[]>(
  values: Values,
  options: LeafOptions<Values[number]>,
): TEnum<Values> & Annotation<'choice'> {
  return Enum(values, { ...options, written: 'choice' }) as unknown as TEnum<Values> & Annotation<'choice'>
}

/** Bounds of quantities are given in written form, so that the table of keys reads like the file. */
export interface Bounds {
  from: string
  to: string
}

export function duration(options: LeafOptions<string> & Bounds): TInteger & Annotation<'duration'> {
  return quantity('duration', parseDuration, options) as TInteger & Annotation<'duration'>
}

export function size(options: LeafOptions<string> & Bounds): TInteger & Annotation<'size'> {
  return quantity('size', parseSize, options) as TInteger & Annotation<'size'>
}

/** A part of the size that the key `of` has: `20GiB` or `40%`. */
export function share(
  options: LeafOptions<string> & Bounds & { of: string },
): TInteger & Annotation<'share'> {
  return quantity('share', parseSize, options) as TInteger & Annotation<'share'>
}

/** With `to: 'unlimited'` the rate may be switched off; inside that is `Infinity`. */
export function rate(options: LeafOptions<string> & Bounds): TNumber & Annotation<'rate'> {
  const { from, to, ...rest } = options
  const maximum = bound(parseRate, to)
  const bounds = { minimum: bound(parseRate, from), ...(Number.isFinite(maximum) ? { maximum } : {}) }
  return Real({ ...rest, ...bounds, written: 'rate' }) as TNumber & Annotation<'rate'>
}

type ListKind =
  | 'multiaddrs'
  | 'bootstrap'
  | 'gateways'
  | 'schedule'
  | 'peers'
  | 'iceServers'
  | 'hosts'
  | 'cids'
  | 'dnslinks'

export function list<Kind extends ListKind>(
  kind: Kind,
  options: LeafOptions<readonly string[]>,
): TArray<TString> & Annotation<Kind> {
  return List(Text({ maxLength: MAX_ITEM_CHARS, minLength: 1 }), {
    ...options,
    maxItems: MAX_LIST_ITEMS,
    uniqueItems: true,
    written: kind,
  }) as TArray<TString> & Annotation<Kind>
}

function quantity(written: Written, parse: Parse, options: LeafOptions<string> & Bounds): TInteger {
  const { from, to, ...rest } = options
  return Integer({
    ...rest,
    minimum: bound(parse, from),
    maximum: bound(parse, to),
    written,
  })
}

type Parse = (text: string) => number | undefined

/** A bound that does not parse would be no bound at all, so it must not pass. */
function bound(parse: Parse, written: string): number {
  const value = parse(written)
  if (value === undefined) throw new TypeError(`not a quantity: ${written}`)
  return value
}

/** A quantity in written form. */
export function formatNumber(written: Written, value: number): string {
  switch (written) {
    case 'duration':
      return formatDuration(value)
    case 'size':
    case 'share':
      return formatSize(value)
    case 'rate':
      return formatRate(value)
    default:
      return String(value)
  }
}
