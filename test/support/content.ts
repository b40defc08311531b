import { createCipheriv, createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pack } from 'tar-stream'
import type { Header } from 'tar-stream'
import { MemoryBlockstore } from 'blockstore-core'
import type { CID } from 'multiformats/cid'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import type { JobContext, JobProgress, JobSource } from '../../src/jobs/types.ts'
import type { Blocks, Pins, Storage } from '../../src/storage/types.ts'
import type { Logger } from '../../src/telemetry/types.ts'

export const quiet: Logger = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => quiet,
}

export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'p2pnode-content-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

/** Blocks in a map, checked when put, with a say in how long a put takes. */
export class MemoryBlocks implements Blocks {
  readonly map = new Map<string, { cid: CID; bytes: Uint8Array }>()
  readonly leases = new Set<string>()
  readonly #watchers = new Set<(cid: CID) => void>()
  puts = 0
  delayMs = 0

  static key(cid: CID): string {
    return Buffer.from(cid.multihash.bytes).toString('hex')
  }

  async get(cid: CID): Promise<Uint8Array | undefined> {
    if (cid.multihash.code === 0) return cid.multihash.digest
    return this.map.get(MemoryBlocks.key(cid))?.bytes
  }
  async has(cid: CID): Promise<boolean> {
    return cid.multihash.code === 0 || this.map.has(MemoryBlocks.key(cid))
  }
  async hasMany(cids: CID[]): Promise<boolean[]> {
    return Promise.all(cids.map((cid) => this.has(cid)))
  }
  async size(cid: CID): Promise<number | undefined> {
    return (await this.get(cid))?.length
  }
  async put(cid: CID, bytes: Uint8Array): Promise<void> {
    const digest = createHash('sha256').update(bytes).digest()
    if (!digest.equals(cid.multihash.digest))
      throw new P2pnodeError('ERR_BLOCK_INVALID', 'verification', `${cid} does not match`)
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.random() * this.delayMs))
    this.puts += 1
    this.map.set(MemoryBlocks.key(cid), { cid, bytes: Uint8Array.from(bytes) })
    for (const onPut of this.#watchers) onPut(cid)
  }
  watch(onPut: (cid: CID) => void): () => void {
    this.#watchers.add(onPut)
    return () => this.#watchers.delete(onPut)
  }
  async lease(id: string): ReturnType<Blocks['lease']> {
    this.leases.add(id)
    return {
      id,
      touch: async () => {},
      release: async () => {
        this.leases.delete(id)
      },
    }
  }
  usage(): ReturnType<Blocks['usage']> {
    return { usedBytes: 0, quotaBytes: 0, blocks: this.map.size, blockBytes: 0, quarantined: 0 }
  }
  asBlockstore(): ReturnType<Blocks['asBlockstore']> {
    return new MemoryBlockstore()
  }
}

/** Remembers what was pinned; does not walk. */
export class MemoryPins implements Pick<Pins, 'add'> {
  readonly pinned: { cid: string; name: string }[] = []
  async add(cid: CID, options: { name?: string; kind: 'recursive' | 'direct' }): ReturnType<Pins['add']> {
    const name = options.name ?? ''
    this.pinned.push({ cid: cid.toString(), name })
    return { cid, name, kind: options.kind, state: 'pinned', createdAtMs: 0 }
  }
}

export function memoryStorage(): {
  blocks: MemoryBlocks
  pins: MemoryPins
  storage: Pick<Storage, 'blocks' | 'pins'>
} {
  const blocks = new MemoryBlocks()
  const pins = new MemoryPins()
  return { blocks, pins, storage: { blocks, pins: pins as unknown as Pins } }
}

export class Crash extends Error {}

/** What survives a crash of a job: its last committed offset and checkpoint. */
export class DurableUpload {
  offset = 0
  checkpoint: unknown
  commits = 0
  /** The largest checkpoint, as JSON. */
  checkpointBytes = 0

  /** A source that gives `bytes` in parts from the committed offset and crashes before `crashAt`. */
  source(
    bytes: Uint8Array,
    options: { partBytes?: number; crashAt?: number; onCommit?: () => void } = {},
  ): JobSource {
    const { partBytes = 65_536, crashAt = Number.POSITIVE_INFINITY, onCommit } = options
    const start = this.offset
    return {
      offset: start,
      size: bytes.length,
      commit: async (offset, checkpoint) => {
        const text = JSON.stringify(checkpoint)
        this.checkpointBytes = Math.max(this.checkpointBytes, text.length)
        this.offset = offset
        this.checkpoint = JSON.parse(text)
        this.commits += 1
        onCommit?.()
      },
      async *[Symbol.asyncIterator]() {
        for (let at = start; at < bytes.length; at += partBytes) {
          const end = Math.min(at + partBytes, bytes.length)
          if (end > crashAt) throw new Crash(`crash before ${end}`)
          // As with a real client, there is time between two parts.
          await new Promise((resolve) => setImmediate(resolve))
          yield bytes.subarray(at, end)
        }
        if (crashAt <= bytes.length) throw new Crash('crash at the end')
      },
    }
  }
}

export function jobContext<Params>(
  id: string,
  params: Params,
  upload: DurableUpload,
  source: JobSource | null,
  signal: AbortSignal = new AbortController().signal,
): JobContext<Params> & { last: { progress: JobProgress | null } } {
  const last: { progress: JobProgress | null } = { progress: null }
  return {
    id,
    params,
    signal,
    log: quiet,
    checkpoint: upload.checkpoint,
    source,
    last,
    saveCheckpoint: async (checkpoint) => {
      upload.checkpoint = JSON.parse(JSON.stringify(checkpoint))
    },
    progress: (progress) => {
      last.progress = progress
    },
    waiting() {},
  }
}

/** The ChaCha20 keystream under SHA-256 of the seed: the same bytes everywhere, as IPIP-0499's vectors have them. */
export function keystream(seed: string, sizeBytes: number): Uint8Array {
  const key = createHash('sha256').update(seed).digest()
  return createCipheriv('chacha20', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes))
}

export interface TreeEntry {
  path: string
  content?: Uint8Array
  target?: string
  mode?: number
  hardlink?: string
  type?: Header['type']
}

/** A tar stream of entries, by tar-stream. */
export async function tarOf(entries: TreeEntry[]): Promise<Uint8Array> {
  const stream = pack()
  const write = async (): Promise<void> => {
    for (const entry of entries) {
      const header = {
        name: entry.path,
        mtime: new Date(0),
        ...(entry.mode === undefined ? {} : { mode: entry.mode }),
      }
      await new Promise<void>((resolve, reject) => {
        const done = (error?: Error | null): void => (error instanceof Error ? reject(error) : resolve())
        if (entry.content !== undefined)
          stream.entry({ ...header, type: 'file' }, Buffer.from(entry.content), done)
        else if (entry.target !== undefined)
          stream.entry({ ...header, type: 'symlink', linkname: entry.target }, done)
        else if (entry.hardlink !== undefined)
          stream.entry({ ...header, type: 'link', linkname: entry.hardlink }, done)
        else stream.entry({ ...header, type: entry.type ?? 'directory' }, done)
      })
    }
    stream.finalize()
  }
  const parts: Uint8Array[] = []
  const writing = write()
  for await (const part of stream) parts.push(part as Uint8Array)
  await writing
  return Buffer.concat(parts)
}
