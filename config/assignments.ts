import { KEYS, SECTIONS } from './keys.ts'
import type { Key } from './keys.ts'
import type { Problem } from './problems.ts'
import { didYouMean } from './suggest.ts'
import { readText, readValue } from './values.ts'
import type { Reading, Value } from './values.ts'

/** Which layer a value came from; later layers win. */
export type Layer = 'default' | 'mode' | 'role' | 'file' | 'environment' | 'flag'

/** Where the value of one key came from, exactly enough to go there and change it. */
export interface Source {
  readonly layer: Layer
  /** `default`, `role master`, `/home/a/config.yaml:12`, `P2PNODE_API_PORT`, `--set api.port` */
  readonly where: string
}

/** A key that one layer sets, checked by itself. */
export interface Assignment {
  readonly key: Key
  readonly value: Value
  readonly source: Source
}

/** What reading one layer gave. */
export interface LayerReading {
  readonly assignments: Assignment[]
  readonly problems: Problem[]
}

/** Collects the assignments and problems of one layer. */
export class LayerReader implements LayerReading {
  readonly assignments: Assignment[] = []
  readonly problems: Problem[] = []

  /** `text`: from the environment or a flag. */
  assignText(path: string, text: string, source: Source): void {
    this.#assign(path, source, (key) => readText(key, text))
  }

  /** `value`: from YAML, a profile or a flag that holds a list. */
  assignValue(path: string, value: unknown, source: Source): void {
    this.#assign(path, source, (key) => readValue(key, value))
  }

  problem(key: string | null, message: string, where: string): void {
    this.problems.push({ key, message, where })
  }

  unknownKey(path: string, where: string): void {
    this.problem(path, `unknown key${didYouMean(path, [...KEYS.keys(), ...SECTIONS])}`, where)
  }

  #assign(path: string, source: Source, read: (key: Key) => Reading): void {
    const key = KEYS.get(path)
    if (key === undefined) {
      if (!SECTIONS.has(path)) return this.unknownKey(path, source.where)
      return this.problem(path, `this is a section; it has ${childrenOf(path)}`, source.where)
    }
    const reading = read(key)
    if (reading.ok) this.assignments.push({ key, value: reading.value, source })
    else this.problem(path, reading.message, source.where)
  }
}

/** `storage.quota, storage.offer, …` */
export function childrenOf(section: string): string {
  return [...KEYS.keys()].filter((path) => path.startsWith(`${section}.`)).join(', ')
}
