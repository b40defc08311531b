/**
 * Content that this node neither serves nor fetches: the denylists in a folder, and what the operator blocked by command.
 *
 * ```ts
 * const denylist = createDenylist({ folder: join(home, 'denylists'), log })
 * await denylist.start()
 * denylist.deniesCid(cid)
 * denylist.stop()
 * ```
 *
 * Asked before anything leaves: for every block by `Policy.decide`, for what goes out by HTTP or is told to others by `deniesCid`.
 * Files are read again when they change; until a change was read whole, what was read before counts.
 */
import { type FSWatcher, watch } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { CID } from 'multiformats/cid'
import { forgetOldest } from '../../../protocols/shared/forget-oldest.ts'
import type { Logger } from '../../telemetry/types.ts'
import { MAX_ANSWERS, SETTLE_MS } from './limits.ts'
import { readDenylists } from './files.ts'
import { DenyRules } from './rules.ts'

/** What is asked of the lists. Answers at once and never throws. */
export interface DeniedContent {
  deniesCid(cid: CID): boolean
  /** Of a CID in its text form, as `Policy.decide` is asked; what is no CID is not denied. */
  deniesText(cid: string): boolean
  /** A path as it is asked for, or the CID that it begins with. */
  deniesPath(root: CID, names: readonly string[]): boolean
  /** A name as it is asked for, before it is resolved. */
  deniesName(name: string, names: readonly string[]): boolean
}

export interface Denylist extends DeniedContent {
  /** The operator's own rules, in the order they were made; they come after those of the files. */
  setOwn(rules: readonly string[]): void
  /** Reads the files, and again whenever they change. Resolves once they are read. */
  start(): Promise<void>
  stop(): void
  /** Rules that count, of the files and the operator's own. */
  size(): number
  /** Calls back when the rules are others than before; returns the function that ends it. */
  onChange(listener: () => void): () => void
}

/** Without a folder there is what the operator blocked alone. */
export function createDenylist(source?: { folder: string; log: Logger }): Denylist {
  const log = source?.log.child({ part: 'denylist' })
  const answers = new Map<string, boolean>()
  const listeners = new Set<() => void>()
  let files = new DenyRules()
  let own = new DenyRules()
  let ownTexts: readonly string[] = []
  let watcher: FSWatcher | undefined
  let settling: NodeJS.Timeout | undefined
  let reading = new AbortController()

  /** Whatever an exception in a file says, what the operator blocked is blocked. */
  const denies = (ask: (rules: DenyRules) => boolean): boolean => ask(own) || ask(files)

  function changed(): void {
    answers.clear()
    for (const listener of listeners) listener()
  }

  async function read(): Promise<void> {
    if (source === undefined) return
    reading.abort(new Error('read again'))
    reading = new AbortController()
    const { signal } = reading
    try {
      const rules = await readDenylists(source.folder, log ?? source.log, signal)
      signal.throwIfAborted()
      files = rules
      changed()
    } catch (error) {
      if (!signal.aborted) log?.warn({ err: error }, 'the denylists could not be read')
    }
  }

  function deniesCid(cid: CID): boolean {
    return denies((rules) => rules.deniesCid(cid))
  }

  return {
    deniesCid,
    deniesText(text) {
      if (files.size === 0 && own.size === 0) return false
      const known = answers.get(text)
      if (known !== undefined) return known
      let answer = false
      try {
        answer = deniesCid(CID.parse(text))
      } catch {
        // A slab, a topic, or nonsense.
      }
      forgetOldest(answers, MAX_ANSWERS)
      answers.set(text, answer)
      return answer
    },
    deniesPath: (root, names) => denies((rules) => rules.deniesPath(root, names)),
    deniesName: (name, names) => denies((rules) => rules.deniesName(name, names)),
    setOwn(rules) {
      if (rules.length === ownTexts.length && rules.every((rule, index) => rule === ownTexts[index])) return
      ownTexts = [...rules]
      own = new DenyRules()
      for (const rule of rules) own.add(rule)
      changed()
    },
    async start() {
      if (source === undefined) return
      const { folder } = source
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await read()
      watcher = watch(folder, { persistent: false }, () => {
        clearTimeout(settling)
        settling = setTimeout(() => void read(), SETTLE_MS).unref()
      })
      watcher.on('error', (error) => log?.warn({ err: error }, 'changes of the denylists are not seen'))
    },
    stop() {
      watcher?.close()
      watcher = undefined
      clearTimeout(settling)
      reading.abort(new Error('the node stops'))
    },
    size: () => files.size + own.size,
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
