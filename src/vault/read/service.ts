import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { decodeManifestFile, encodeManifestFile, formatLink, parseLink, verifyKey } from '../codec/index.ts'
import type { ManifestBody, ManifestMap } from '../codec/types.ts'
import type { OpenManifest } from '../contracts.ts'
import type {
  Inspection,
  Power,
  VaultEntry,
  VaultReadOptions,
  VaultResolved,
  VaultService,
} from '../types.ts'
import { cancelled, notAFile, verifyLinkReadsNothing } from './errors.ts'
import { checkingHash } from './hash-check.ts'
import type { ManifestStore } from './manifests.ts'
import type { SlabReader } from './slab-reader.ts'
import { SourceCounts } from './statistics.ts'
import { writeTar } from './tar.ts'
import type { Target } from './tree.ts'
import { childrenOf, entriesBelow, targetOf } from './tree.ts'

export interface VaultReadingOptions {
  manifests: ManifestStore
  slabs: SlabReader
}

type Readable = OpenManifest & { body: ManifestBody }

/** The half of the vault that needs nothing but a link. `share` gives powers of links; the owner's is the owner's to give. */
export type VaultReading = Pick<
  VaultService,
  'resolve' | 'entries' | 'cat' | 'tar' | 'inspect' | 'openManifest' | 'manifestFile'
> & { share(link: string, power: Power): string }

export function createVaultReading({ manifests, slabs }: VaultReadingOptions): VaultReading {
  const open = async (link: string, signal: AbortSignal): Promise<Readable> => {
    const parsed = parseLink(link)
    if (parsed.power !== 'read') throw verifyLinkReadsNothing()
    const manifest = await manifests.open(parsed, signal)
    if (manifest.body === undefined) throw verifyLinkReadsNothing()
    return { ...manifest, body: manifest.body }
  }

  async function* reading(
    link: string,
    options: VaultReadOptions,
    bytesOf: (manifest: Readable, target: Target, counts: SourceCounts) => AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    const { signal, path, statistics } = options
    try {
      const manifest = await open(link, signal)
      yield* bytesOf(manifest, targetOf(manifest.body, path), new SourceCounts(statistics))
    } catch (error) {
      throw signal.aborted ? cancelled(error) : error
    }
  }

  return {
    resolve: (link, { signal, path }) =>
      cancellable(signal, async () => {
        const manifest = await open(link, signal)
        return resolvedOf(manifest, targetOf(manifest.body, path))
      }),

    entries: (link, { signal, path }): Promise<VaultEntry[]> =>
      cancellable(signal, async () => childrenOf((await open(link, signal)).body, path, signal)),

    cat: (link, options) =>
      reading(link, options, (manifest, target, counts) => {
        const { offset = 0, length = Number.POSITIVE_INFINITY, signal } = options
        const { body } = manifest
        const name = target.path === '' ? body.name : target.path
        if (target.type !== 'file') throw notAFile(name, target.type)
        const from = Math.min(target.size, offset)
        const end = Math.min(target.size, offset + length)
        const range = { from: target.offset + from, end: target.offset + end }
        const bytes = slabs.read(manifest, range, { signal, counts })
        const isWhole = from === 0 && end === target.size
        return isWhole ? checkingHash(bytes, target.sha256, name) : bytes
      }),

    tar: (link, options) =>
      reading(link, options, (manifest, target, counts) =>
        writeTar(manifest.body, target, options.name, (from, end) =>
          slabs.read(manifest, { from, end }, { signal: options.signal, counts }),
        ),
      ),

    share(link, power) {
      const parsed = parseLink(link)
      if (parsed.power === power) return formatLink(parsed)
      if (parsed.power === 'verify') throw verifyLinkReadsNothing()
      return formatLink({ power: 'verify', slab: parsed.slab, key: verifyKey(parsed.key) })
    },

    inspect: (what, signal) =>
      cancellable(signal, async () => {
        if ('link' in what) {
          const parsed = parseLink(what.link)
          return inspected('link', parsed, await reachable(manifests.open(parsed, signal)))
        }
        const file = decodeManifestFile(what.manifest)
        await manifests.adopt(file)
        return inspected('manifest', file.link, await manifests.open(file.link, signal))
      }),

    async openManifest(bytes) {
      const file = decodeManifestFile(bytes)
      await manifests.adopt(file)
      return formatLink(file.link)
    },

    manifestFile: (link, signal) =>
      cancellable(signal, async () => {
        const { link: parsed, index, pieces } = await open(link, signal)
        return encodeManifestFile({ link: parsed, index: index.signed, pieces })
      }),
  }
}

function resolvedOf({ body, map, link }: Readable, target: Target): VaultResolved {
  const isFile = target.type === 'file'
  return {
    link: formatLink(link),
    name: target.path === '' ? body.name : (target.path.split('/').at(-1) as string),
    kind: body.kind,
    type: target.type,
    size: isFile ? target.size : sizeBelow(body, target),
    sha256: isFile && target.sha256 !== null ? Buffer.from(target.sha256).toString('hex') : null,
    mime: isFile && target.mime !== '' ? target.mime : null,
    createdAtMs: body.createdMs,
    redundancy: redundancyText(map),
  }
}

function sizeBelow(body: ManifestBody, target: Target): number {
  if (target.type !== 'directory') return 0
  if (target.path === '') return body.size
  return entriesBelow(body, target.path).reduce(
    (sum, { type, size }) => sum + (type === 'file' ? size : 0),
    0,
  )
}

function inspected(
  kind: Inspection['kind'],
  { power, slab }: { power: Power; slab: Uint8Array },
  manifest: OpenManifest | undefined,
): Inspection {
  const { map, body } = manifest ?? {}
  return {
    kind,
    power,
    slab: slabKeyOf(slab),
    name: body?.name ?? null,
    size: body?.size ?? null,
    redundancy: map === undefined ? null : redundancyText(map),
    slabs: map === undefined ? null : map.groups.reduce((sum, group) => sum + group.slabs.length, 0),
  }
}

function redundancyText({ redundancy: { k, n } }: Pick<ManifestMap, 'redundancy'>): string {
  return k === 1 ? `copies:${n}` : `rs:${k}/${n}`
}

/** Undefined where nobody who can be reached has it: a link can be looked at all the same. */
async function reachable(manifest: Promise<OpenManifest>): Promise<OpenManifest | undefined> {
  try {
    return await manifest
  } catch (error) {
    if (error instanceof P2pnodeError && error.code === 'ERR_VAULT_NOT_FOUND') return undefined
    throw error
  }
}

async function cancellable<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw signal.aborted ? cancelled(error) : error
  }
}
