import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { decodeIndex, ed25519Signer, pieceRoot, signIndex } from '../../../../protocols/chunk/format/index.ts'
import type { SignedBytes } from '../../../../protocols/chunk/types.ts'
import {
  decodeManifestFile,
  encodeManifestFile,
  type ManifestBody,
  type ManifestMap,
  slabSeed,
} from '../../codec/index.ts'
import type { Redundancy } from '../../types.ts'
import type { OwnerObject } from '../state.ts'
import type { OwnerDependencies } from './dependencies.ts'
import type { PutContents } from './stream.ts'

const SALT_BYTES = 32
/** Characters of an object's name in the name of its .manifest file. */
const NAME_CHARS = 40

export interface SealedManifest {
  index: SignedBytes
  pieces: { bytes: Uint8Array; root: Uint8Array }[]
}

/**
 * The manifest's pieces, durable here before the first one leaves. A run after a crash takes the same ones: a holder
 * takes one index a slab, and the slab's id is the link's. Should the file be gone they are sealed again under a fresh salt, so
 * that no key and nonce meet two plaintexts.
 */
export async function sealManifest(
  dependencies: OwnerDependencies,
  object: OwnerObject,
  contents: PutContents,
  signal: AbortSignal,
): Promise<SealedManifest> {
  const { networkName, ownerSecret, manifestCodec, workFolder } = dependencies
  const path = pendingManifest(workFolder, object.id)
  const before = await readFile(path).catch(() => undefined)
  if (before !== undefined) {
    const { index, pieces } = decodeManifestFile(before)
    const checked = decodeIndex(index, networkName)
    return { index, pieces: pieces.map((bytes, at) => ({ bytes, root: checked.root(at, 0) })) }
  }
  const readKey = Buffer.from(object.readKey, 'base64')
  const sealed = await manifestCodec.seal(manifestOf(dependencies, object, contents), {
    slab: object.manifest,
    salt: randomBytes(SALT_BYTES),
    readKey,
    signal,
  })
  const { n } = object.redundancy as Redundancy
  const index = signIndex(
    ed25519Signer(slabSeed(ownerSecret(), Buffer.from(object.manifestSalt, 'base64'))),
    networkName,
    {
      group: object.manifest,
      k: 1,
      n,
      sealedBytes: sealed.pieces.map((piece) => piece.length),
      roots: sealed.roots.flatMap((root) => Array.from({ length: n }, () => root)),
    },
  )
  const link = { power: 'read' as const, slab: object.manifest, key: readKey }
  await writeDurably(path, encodeManifestFile({ link, index: index.signed, pieces: sealed.pieces }))
  return {
    index: index.signed,
    pieces: sealed.pieces.map((bytes, at) => ({ bytes, root: sealed.roots[at] ?? pieceRoot(bytes) })),
  }
}

function manifestOf(
  { state }: OwnerDependencies,
  object: OwnerObject,
  contents: PutContents,
): { map: ManifestMap; body: ManifestBody } {
  const groups: ManifestMap['groups'] = [{ id: object.manifest, slabs: [] }]
  const slabs: ManifestBody['slabs'] = []
  for (const { id, position, group, salt, modes } of state.allSlabsOf(object.id)) {
    if (position < 0) continue
    const last = groups.at(-1)
    if (last !== undefined && Buffer.compare(last.id, group) === 0) last.slabs.push(id)
    else groups.push({ id: group, slabs: [id] })
    slabs.push({ salt, modes })
  }
  return {
    map: { redundancy: object.redundancy as Redundancy, groups },
    body: {
      name: object.fileName,
      kind: object.kind,
      size: contents.size,
      sha256: contents.sha256,
      createdMs: object.createdMs,
      fileKey: Buffer.from(object.fileKey, 'base64'),
      slabs,
      mime: contents.mime,
      entries: contents.entries,
    },
  }
}

export function pendingManifest(workFolder: string, id: string): string {
  return join(workFolder, `${id}.manifest`)
}

/** HOME/manifests/NAME-ID.manifest: the name for people, the id so that no two are the same. */
export function manifestPathOf(
  { manifestsFolder }: Pick<OwnerDependencies, 'manifestsFolder'>,
  object: OwnerObject,
): string {
  const plain = object.name.replaceAll(/[^\p{L}\p{N}._ -]/gu, '_').replace(/^\.+/, '_')
  const short = createHash('sha256').update(object.id).digest('hex').slice(0, 12)
  return join(manifestsFolder, `${plain.slice(0, NAME_CHARS).toWellFormed()}-${short}.manifest`)
}

/** Moves the sealed manifest to where people find it; done before, it does nothing. */
export async function publishManifestFile(
  { workFolder, manifestsFolder }: OwnerDependencies,
  object: OwnerObject,
  path: string,
): Promise<void> {
  const pending = await readFile(pendingManifest(workFolder, object.id)).catch(() => undefined)
  if (pending === undefined) return
  await mkdir(manifestsFolder, { recursive: true, mode: 0o700 })
  await writeDurably(path, pending)
}

/** Whole or not at all, under any crash; readable by its owner alone. */
async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = join(dirname(path), `.${basename(path)}.tmp`)
  const handle = await open(temporary, 'w', 0o600)
  try {
    await handle.chmod(0o600)
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, path)
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
