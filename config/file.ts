import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Document, Node, YAMLMap } from 'yaml'
import { LayerReader } from './assignments.ts'
import type { LayerReading } from './assignments.ts'
import { SECTIONS } from './keys.ts'
import { ConfigError, shown } from './problems.ts'

/** Largest configuration file in bytes: a full one has about 10 KiB; more is a mistake, such as the wrong file. */
export const MAX_FILE_BYTES = 1024 * 1024

/** Name of the file in the data folder. */
export const CONFIG_FILE = 'config.yaml'

/**
 * The text of a configuration file, or undefined where there is none.
 *
 * @throws ConfigError for what is not a readable regular file of at most `MAX_FILE_BYTES`
 */
export async function readConfigFile(path: string): Promise<string | undefined> {
  const refuse = (message: string) => new ConfigError([{ key: null, message, where: path }])
  try {
    // O_NONBLOCK: a named pipe in that place must not hang the start.
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    try {
      const stat = await handle.stat()
      if (!stat.isFile()) throw refuse('is not a regular file')
      if (stat.size > MAX_FILE_BYTES) {
        throw refuse(`has ${stat.size} bytes, allowed: at most ${MAX_FILE_BYTES}`)
      }
      return new TextDecoder('utf-8', { fatal: true }).decode(await handle.readFile())
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (error instanceof ConfigError) throw error
    if (error instanceof TypeError) throw refuse('is not UTF-8 text')
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw refuse(`cannot be read: ${message}`)
  }
}

/** A parsed file: its keys, its problems, and the document for whoever edits it. */
export interface ParsedFile extends LayerReading {
  readonly document: Document
}

/** Reads the keys of a YAML text; `path` is what messages call it. */
export async function parseConfigFile(text: string, path: string): Promise<ParsedFile> {
  // The parser is loaded only where there is a file: a client command never pays for it.
  const { isAlias, isMap, isScalar, LineCounter, parseDocument } = await import('yaml')
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, strict: true })
  const reader = new LayerReader()
  const at = (offset: number) => `${path}:${lines.linePos(offset).line}`
  for (const { message, pos } of [...document.errors, ...document.warnings]) {
    reader.problem(null, `is not valid YAML: ${message}`, at(pos[0]))
  }
  if (document.errors.length === 0) readRoot(document.contents)
  return { assignments: reader.assignments, problems: reader.problems, document }

  /** The library refuses to expand a file that is mostly aliases; such a value is as wrong as any other. */
  function toPlain(node: Node | null): unknown {
    try {
      return node?.toJS(document) ?? null
    } catch (error) {
      return String(error)
    }
  }

  function readRoot(root: Node | null): void {
    if (root === null || (isScalar(root) && root.value === null)) return
    if (isMap(root)) readSection(root, '')
    else reader.problem(null, 'found no keys, allowed: a mapping of keys to values', at(root.range?.[0] ?? 0))
  }

  function readSection(section: YAMLMap, prefix: string): void {
    for (const { key, value } of section.items) {
      const name = isScalar(key) ? String(key.value) : shown(key)
      const where = at(isScalar(key) ? (key.range?.[0] ?? 0) : 0)
      const node = isAlias(value) ? value.resolve(document) : (value as Node | null)
      const path = prefix + name
      if (isMap(node) && SECTIONS.has(path)) {
        readSection(node, `${path}.`)
        continue
      }
      const written = toPlain(node ?? null)
      // A section whose keys are all commented out parses as null: it changes nothing.
      if (written === null && SECTIONS.has(path)) continue
      reader.assignValue(path, written, { layer: 'file', where })
    }
  }
}
