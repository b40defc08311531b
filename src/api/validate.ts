import type { TObject, TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import { invalidRequest } from './errors.ts'

/** Findings that an answer lists at most: a body may be wrong in a thousand places. */
const MAX_FINDINGS = 8

export type Part = 'query' | 'path' | 'header' | 'body'

type Values = Record<string, unknown>

/**
 * Checks one part of a request against its schema. The check is compiled at the first use: most routes are never
 * called in the life of a process, and compiling all of them would take a tenth of the time to start.
 */
export class PartValidator {
  readonly #schema: TSchema
  readonly #part: Part
  #compiled: Validator | undefined

  constructor(schema: TSchema, part: Part) {
    this.#schema = schema
    this.#part = part
  }

  /**
   * The value as the handler gets it: texts of a query, path or header are turned into the numbers and booleans that
   * the schema asks for; headers without a schema are left out.
   *
   * @throws ERR_REQUEST_INVALID
   */
  check(value: unknown): unknown {
    const candidate = this.#part === 'body' ? value : this.#typed(value as Values)
    const compiled = (this.#compiled ??= Compile(this.#schema))
    if (compiled.Check(candidate)) return candidate
    throw this.#refusal(compiled, candidate)
  }

  #typed(values: Values): Values {
    const { properties } = this.#schema as TObject
    const known = this.#part === 'header' ? Object.keys(properties) : Object.keys(values)
    // Without a prototype, so that a query's `__proto__` is a key like any other.
    const typed = Object.create(null) as Values
    for (const key of known) {
      const schema = Object.hasOwn(properties, key) ? (properties[key] as { type?: string }) : undefined
      const value = values[key]
      if (value !== undefined) typed[key] = typeof value === 'string' ? typedText(value, schema?.type) : value
    }
    return typed
  }

  #refusal(compiled: Validator, value: unknown): Error {
    const findings = compiled.Errors(value).map((error) => {
      const params = error.params as Values
      const allowed = params['allowedValues']
      return {
        path: error.instancePath,
        problem: Array.isArray(allowed) ? `must be one of ${allowed.join(', ')}` : error.message,
        ...(error.keyword === 'additionalProperties' ? { unknown: params['additionalProperties'] } : {}),
      }
    })
    // A false schema stands for an unknown key; the finding about the whole object names the key.
    const told = findings.filter(({ problem }) => problem !== 'schema is false').slice(0, MAX_FINDINGS)
    const [first] = told
    const where =
      first === undefined || first.path === '' ? this.#part : `${this.#part} ${first.path.slice(1)}`
    const unknown = first?.unknown === undefined ? '' : `: ${String(first.unknown)}`
    return invalidRequest(`The ${where} ${first?.problem ?? 'is not valid'}${unknown}`, {
      part: this.#part,
      findings: told,
    })
  }
}

/** Strict, so that `1e3`, ` 1` and `yes` are refused rather than guessed at. */
function typedText(text: string, type: string | undefined): unknown {
  if (type === 'integer' || type === 'number')
    return /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : text
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}
