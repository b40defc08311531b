import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Document, Scalar } from 'yaml'
import { P2pnodeError } from '../protocols/shared/errors.ts'
import { LayerReader } from './assignments.ts'
import { formatScalar } from './describe.ts'
import { CONFIG_FILE, parseConfigFile, readConfigFile } from './file.ts'
import { KEYS } from './keys.ts'
import type { Key } from './keys.ts'
import type { WrittenValue } from './leaves.ts'
import { ConfigError } from './problems.ts'
import { resolve } from './resolve.ts'
import { initialText } from './template.ts'
import type { InitialChoices } from './template.ts'
import { createFile, replaceFile } from './write.ts'

/** One change of `config set`, both in written form; lists as JSON. */
export interface Change {
  key: string
  value: string
}

/**
 * Writes a first `config.yaml` that explains every key, and makes the data folder if there is none.
 *
 * @throws P2pnodeError `ERR_CONFIG_EXISTS` (conflict) where there is a file already: it is never overwritten
 * @returns the path of the new file
 */
export async function initConfig({ home, ...choices }: { home: string } & InitialChoices): Promise<string> {
  const path = join(home, CONFIG_FILE)
  const text = initialText(choices)
  await resolve([await parseConfigFile(text, path)])
  await mkdir(home, { recursive: true, mode: 0o700 })
  try {
    await createFile(path, text)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new P2pnodeError(
      'ERR_CONFIG_EXISTS',
      'conflict',
      `${path} exists already; change it with "p2pnode config set"`,
      {
        details: { path },
        cause: error,
      },
    )
  }
  return path
}

/**
 * Changes keys in `HOME/config.yaml`, or in `file`, keeping its comments and order; makes the file if there is none. All
 * changes are made together or none is: two keys that only fit together can be set at once.
 *
 * The file is judged by itself, over the defaults: environment and flags of the moment must not decide what may stand
 * in it.
 *
 * @throws ConfigError where the file is not valid, or would not be afterwards; the file is then as it was
 * @returns the path of the file
 */
export async function setConfig(options: {
  home: string
  changes: readonly Change[]
  file?: string
}): Promise<string> {
  const path = options.file ?? join(options.home, CONFIG_FILE)
  const before = (await readConfigFile(path)) ?? ''
  const asked = new LayerReader()
  for (const { key, value } of options.changes) {
    asked.assignText(key, value, { layer: 'file', where: `config set ${key}` })
  }
  const parsed = await parseConfigFile(before, path)
  if (asked.problems.length > 0 || parsed.document.errors.length > 0) {
    throw new ConfigError([...asked.problems, ...parsed.problems])
  }
  let after = before
  for (const { key, value } of options.changes) after = await put(after, KEYS.get(key) as Key, value, path)
  await resolve([await parseConfigFile(after, path)])
  if (options.file === undefined) await mkdir(options.home, { recursive: true, mode: 0o700 })
  if (after !== before) await replaceFile(path, after)
  return path
}

/**
 * The text with the key's value. A scalar that stands there is exchanged on the spot, and not a space changes elsewhere;
 * otherwise the document is written anew, which keeps comments and order.
 */
async function put(before: string, { path, leaf }: Key, text: string, file: string): Promise<string> {
  const { isCollection, isScalar } = await import('yaml')
  const { document } = await parseConfigFile(before, file)
  const names = path.split('.')
  const value = (isText(leaf.written) ? text : JSON.parse(text)) as WrittenValue
  const present = document.getIn(names, true)
  if (isScalar(present) && isInline(present) && typeof value !== 'object') {
    const [start, end] = present.range as [number, number, number]
    return before.slice(0, start) + formatScalar(value) + before.slice(end)
  }
  await openSections(document, names)
  const node = document.createNode(value)
  if (isCollection(present) && isCollection(node)) {
    node.comment = present.comment ?? null
    node.commentBefore = present.commentBefore ?? null
  }
  document.setIn(names, node)
  return document.toString({ lineWidth: 0 })
}

/** A value that stands on the line, neither left out nor a block of text. */
function isInline({ source, type }: Scalar): boolean {
  return source !== undefined && source !== '' && type !== 'BLOCK_LITERAL' && type !== 'BLOCK_FOLDED'
}

/** Makes every section on the way a map: one that holds only comments is null, and so is a file that does. */
async function openSections(document: Document, names: readonly string[]): Promise<void> {
  const { isMap, isScalar } = await import('yaml')
  for (let depth = 0; depth < names.length; depth++) {
    const section = depth === 0 ? document.contents : document.getIn(names.slice(0, depth), true)
    if (isMap(section)) continue
    const map = document.createNode({})
    if (depth === 0) document.contents = map
    else document.setIn(names.slice(0, depth), map)
    if (isScalar(section) && section.comment) map.comment = section.comment
  }
}

function isText(written: Key['leaf']['written']): boolean {
  switch (written) {
    case 'integer':
    case 'number':
    case 'boolean':
    case 'multiaddrs':
    case 'bootstrap':
    case 'gateways':
    case 'schedule':
    case 'peers':
    case 'iceServers':
    case 'hosts':
    case 'cids':
    case 'dnslinks':
      return false
    default:
      return true
  }
}
