import type { CID } from 'multiformats/cid'
import type { ByteRange } from '../../protocols/content/types.ts'
import type { ContentPolicy } from '../trust/contract.ts'
import { cancelled, notADirectory, notAFile, paramsInvalid } from './errors.ts'
import type { Fetcher, FetchingReader } from './fetch/fetcher.ts'
import type { FetchPlan } from './fetch/session.ts'
import { isUnavailable } from './fetch/session.ts'
import type { NameResolver } from './names/types.ts'
import type { PrivateContent } from './private/private-content.ts'
import { parseAddress } from './read/address.ts'
import type { BlockReader } from './read/block-reader.ts'
import { writeCar } from './read/car.ts'
import { listEntries } from './read/directory.ts'
import { readFile } from './read/file.ts'
import { rootedAddress } from './read/named-address.ts'
import type { Target } from './read/resolve.ts'
import { resolveAddress } from './read/resolve.ts'
import { writeTar } from './read/tar.ts'
import type { ContentService, Entry, OpenReader, ReadOptions, ReadPlan, Resolved } from './types.ts'

export interface ServiceDependencies {
  fetcher: Fetcher
  /** Told of a file that was read to its end. */
  onRead?: (cid: CID, sizeBytes: number) => void
  /** Without it, addresses that begin with a name are refused. */
  names?: NameResolver | undefined
  privacy?: PrivateContent | undefined
  /** What is read by nobody, by path and name; the fetcher asks the same of CIDs. */
  denied?: ContentPolicy | undefined
}

type TargetPlan = Omit<FetchPlan, 'dag' | 'providersOf'>

/** Reads public content by address: local blocks first, and for what is missing the discovery flow. */
export class AddressedContent implements Omit<ContentService, 'provide' | 'providers' | 'route' | 'steps'> {
  readonly #fetcher: Fetcher
  readonly #names: NameResolver | undefined
  readonly #privacy: PrivateContent | undefined
  readonly #onRead: ServiceDependencies['onRead']
  readonly #denied: ContentPolicy | undefined

  constructor({ fetcher, names, privacy, onRead, denied }: ServiceDependencies) {
    this.#denied = denied
    this.#fetcher = fetcher
    this.#names = names
    this.#privacy = privacy
    this.#onRead = onRead
  }

  async resolve(address: string, options: ReadOptions): Promise<Resolved> {
    return cancellable(options.signal, async () => (await this.#resolve(address, options)).resolved)
  }

  ls(address: string, options: ReadOptions): AsyncGenerator<Entry> {
    return this.#read(
      address,
      options,
      () => ({ scope: 'entity' }),
      (target, reader) => {
        const { node, cid } = target
        if (node.type !== 'directory' && node.type !== 'shard')
          throw notADirectory(address, target.resolved.type)
        const lenient = new LenientReader(reader, this.#fetcher.localReader())
        return listEntries(lenient, cid, node, options.signal)
      },
    )
  }

  cat(
    address: string,
    options: ReadOptions & { offset?: number; length?: number },
  ): AsyncGenerator<Uint8Array> {
    const { offset = 0, length } = options
    // A whole file is the same blocks in either scope; as `all` it shares the fetch of a `get` that is under way.
    const plan = (): TargetPlan =>
      offset === 0 && length === undefined
        ? { scope: 'all' }
        : { scope: 'entity', ...rangeOf(offset, length) }
    let onEnd = (): void => {}
    const read = this.#read(address, options, plan, ({ cid, node, resolved }, reader) => {
      if (node.type !== 'file') throw notAFile(address, resolved.type)
      const { size } = resolved
      const bytes = readFile(reader, cid, {
        offset,
        ...(length === undefined ? {} : { length }),
        signal: options.signal,
      })
      const isWhole = size !== null && offset === 0 && (length === undefined || length >= size)
      if (isWhole) onEnd = () => this.#onRead?.(cid, size)
      return bytes
    })
    // After the fetch was let go of: what has come is kept by then.
    return told(read, () => onEnd())
  }

  tar(address: string, options: ReadOptions & { name: string }): AsyncGenerator<Uint8Array> {
    return this.#read(
      address,
      options,
      () => ({ scope: 'all' }),
      (target, reader) => writeTar(reader, target, options.name, options.signal),
    )
  }

  car(address: string, options: ReadOptions & { private?: boolean }): AsyncGenerator<Uint8Array> {
    const privacy = options.private === true ? undefined : this.#privacy
    return this.#read(
      address,
      options,
      () => ({ scope: 'all' }),
      ({ cid }, reader) =>
        writeCar(privacy === undefined ? reader : publicOnly(reader, privacy), cid, options.signal),
    )
  }

  blocks(plan: ReadPlan, { offline = false }: { offline?: boolean } = {}): OpenReader {
    return this.#fetcher.reader(plan, offline)
  }

  async markPrivate(address: string): Promise<void> {
    if (this.#privacy === undefined) throw paramsInvalid('nothing can be private here')
    await this.#privacy.markRoot(parseAddress(address).root)
  }

  privateRoots({
    after,
    limit,
  }: {
    after?: CID
    limit?: number
  } = {}): { cid: string; createdAtMs: number }[] {
    const page = { ...(after === undefined ? {} : { after }), ...(limit === undefined ? {} : { limit }) }
    return (this.#privacy?.roots(page) ?? []).map(({ cid, createdAtMs }) => ({
      cid: cid.toString(),
      createdAtMs,
    }))
  }

  async #resolve(address: string, { signal, offline = false }: ReadOptions): Promise<Target> {
    const parsed = await rootedAddress(address, this.#names, { signal, offline, denied: this.#denied })
    const plan: FetchPlan = {
      dag: parsed.root,
      providersOf: parsed.root,
      scope: 'block',
      ...(parsed.path.length === 0 ? {} : { path: parsed.path }),
    }
    const reader = this.#fetcher.reader(plan, offline)
    try {
      return await resolveAddress(reader, parsed, signal)
    } finally {
      await reader.close()
    }
  }

  /** Resolves, reads, and lets go of the fetch behind the reader however it ends. */
  async *#read<Item>(
    address: string,
    options: ReadOptions,
    planOf: () => TargetPlan,
    open: (target: Target, reader: BlockReader) => AsyncIterable<Item>,
  ): AsyncGenerator<Item> {
    let reader: FetchingReader | undefined
    try {
      const target = await this.#resolve(address, options)
      const plan: FetchPlan = { ...planOf(), dag: target.cid, providersOf: target.resolved.root }
      reader = this.#fetcher.reader(plan, options.offline ?? false)
      yield* open(target, reader)
    } catch (error) {
      throw options.signal.aborted ? cancelled(error) : error
    } finally {
      await reader?.close()
    }
  }
}

/** Asks others until one block could not be had, then only what is held: a listing tells what it can in bearable time. */
class LenientReader implements BlockReader {
  readonly #first: BlockReader
  readonly #then: BlockReader
  #hasFailed = false

  constructor(first: BlockReader, then: BlockReader) {
    this.#first = first
    this.#then = then
  }

  async get(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    if (this.#hasFailed) return this.#then.get(cid, signal)
    try {
      return await this.#first.get(cid, signal)
    } catch (error) {
      if (isUnavailable(error)) this.#hasFailed = true
      throw error
    }
  }
}

/** Gives nothing that is private. */
function publicOnly(reader: BlockReader, privacy: PrivateContent): BlockReader {
  return {
    async get(cid, signal) {
      // Before, so that nothing is read in vain, and after, since a peer may have said so.
      privacy.assertPublic(cid)
      const bytes = await reader.get(cid, signal)
      privacy.assertPublic(cid)
      return bytes
    },
  }
}

/** Tells when all has been taken. */
async function* told<Item>(items: AsyncIterable<Item>, onEnd: () => void): AsyncGenerator<Item> {
  yield* items
  onEnd()
}

/** No range at all for a whole file, so that readers of it share one fetch. */
function rangeOf(offset: number, length: number | undefined): { range?: ByteRange } {
  if (offset === 0 && length === undefined) return {}
  if (length === undefined) return { range: { from: offset } }
  return { range: { from: offset, to: offset + Math.max(0, length - 1) } }
}

async function cancellable<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw signal.aborted ? cancelled(error) : error
  }
}
