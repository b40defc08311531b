import { createHash } from 'node:crypto'
import { ed25519Signer, pieceRoot, signIndex, slabIdOf } from '../../protocols/chunk/format/index.ts'
import { entriesToBytes, headToBytes } from '../../src/vault/codec/body.ts'
import {
  encodeManifestFile,
  formatLink,
  type ManifestBody,
  type ManifestMap,
  phraseOf,
  segmentKey,
  slabSeed,
  stateAtRestKey,
  stateKey,
  stateSlabSalt,
  verifyKey,
} from '../../src/vault/codec/index.ts'
import { encodeSegment } from '../../src/vault/codec/coding.ts'
import { loadErasure } from '../../src/vault/codec/erasure.ts'
import { encodeMap } from '../../src/vault/codec/map.ts'
import type { CodecBench } from './vault-codec.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** Bytes that count up from `first`. */
export const counting = (first: number, length = 32): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length }, (_, at) => first + at)

const NETWORK = 'main'
const ownerSecret = counting(0x00)
const readKey = counting(0x20)
const fileKey = counting(0x40)
const manifestSalt = counting(0x60)
const dataSalt = counting(0x80)
const CREATED_MS = 1_790_000_000_000

function signerOf(salt: Uint8Array) {
  return ed25519Signer(slabSeed(ownerSecret, salt))
}

function keyVectors() {
  const { publicKey } = signerOf(dataSalt)
  const parts = (layer: 'segment' | 'map' | 'body', key: Uint8Array, salt: Uint8Array, segment: number) => {
    const derived = segmentKey(layer, key, salt, segment)
    return {
      layer,
      layerKey: hex(key),
      salt: hex(salt),
      segment,
      key: hex(derived.key),
      nonce: hex(derived.nonce),
    }
  }
  return {
    ownerSecret: hex(ownerSecret),
    phrase: phraseOf(ownerSecret),
    slabSalt: hex(dataSalt),
    slabSeed: hex(slabSeed(ownerSecret, dataSalt)),
    publicKey: hex(publicKey),
    slabId: hex(slabIdOf(publicKey)),
    readKey: hex(readKey),
    verifyKey: hex(verifyKey(readKey)),
    segmentKeys: [
      parts('segment', fileKey, dataSalt, 0),
      parts('segment', fileKey, dataSalt, 63),
      parts('map', verifyKey(readKey), manifestSalt, 0),
      parts('body', readKey, manifestSalt, 1),
    ],
    stateAtRestKey: hex(stateAtRestKey(ownerSecret)),
    stateKey: hex(stateKey(ownerSecret)),
    stateVersions: [1, 1024, 2 ** 32 + 1].map((version) => {
      const salt = stateSlabSalt(version)
      return { version, salt: hex(salt), slabSeed: hex(slabSeed(ownerSecret, salt)) }
    }),
  }
}

function segmentVectors() {
  const erasure = loadErasure()
  const slab = slabIdOf(signerOf(dataSalt).publicKey)
  const segment = createHash('sha512').update('segment').digest()
  return [
    { k: 1, n: 3 },
    { k: 2, n: 3 },
    { k: 4, n: 8 },
    { k: 3, n: 5 },
  ].map((redundancy) => {
    const key = segmentKey('segment', fileKey, dataSalt, 2)
    const encoded = encodeSegment({ segment, slab, number: 2, key, redundancy }, erasure)
    const count = redundancy.k === 1 ? 1 : redundancy.n
    const pieceBytes = encoded.pieces.length / count
    const pieces = Array.from({ length: count }, (_, at) =>
      encoded.pieces.subarray(at * pieceBytes, (at + 1) * pieceBytes),
    )
    return {
      segment: hex(segment),
      number: 2,
      ...redundancy,
      mode: encoded.mode,
      sealedBytes: encoded.sealedBytes,
      pieces: pieces.map(hex),
      roots: pieces.map((piece) => hex(pieceRoot(piece))),
    }
  })
}

/** A put of a few bytes in the network `main`, from the file to its links. */
async function putVector(bench: CodecBench, content: Uint8Array, kind: 'file' | 'tree') {
  const signal = bench.signal
  const redundancy = { k: 2, n: 3 }
  const manifestSigner = signerOf(manifestSalt)
  const group = slabIdOf(manifestSigner.publicKey)
  const dataSigner = signerOf(dataSalt)
  const dataSlab = slabIdOf(dataSigner.publicKey)
  const sha256 = new Uint8Array(createHash('sha256').update(content).digest())
  const map: ManifestMap = { redundancy, groups: [{ id: group, slabs: [] }] }
  const body: ManifestBody = {
    name: kind === 'file' ? 'hello.txt' : 'folder',
    kind,
    size: content.length,
    sha256: kind === 'file' ? sha256 : null,
    createdMs: CREATED_MS,
    fileKey,
    slabs: [],
    mime: kind === 'file' ? 'text/plain' : '',
    entries: [],
  }
  if (kind === 'tree') {
    const none = { size: 0, offset: 0, sha256: null, mime: '', target: '' }
    body.entries = [
      { ...none, path: 'sub', type: 'directory', mode: 0o755 },
      {
        ...none,
        path: 'sub/hello.txt',
        type: 'file',
        mode: 0o644,
        size: content.length,
        sha256,
        mime: 'text/plain',
      },
      { ...none, path: 'link', type: 'symlink', mode: null, target: 'sub/hello.txt' },
    ]
  }
  let data: Record<string, unknown> | null = null
  if (content.length > 0) {
    const key = segmentKey('segment', fileKey, dataSalt, 0)
    const encoded = await bench.segments.encode(content.slice(), {
      slab: dataSlab,
      number: 0,
      key,
      redundancy,
      signal,
    })
    const { sealedBytes, roots, pieces, mode } = encoded
    const index = signIndex(dataSigner, NETWORK, { group, ...redundancy, sealedBytes: [sealedBytes], roots })
    map.groups = [{ id: group, slabs: [dataSlab] }]
    body.slabs = [{ salt: dataSalt, modes: Uint8Array.of(mode) }]
    data = {
      salt: hex(dataSalt),
      slab: hex(dataSlab),
      mode,
      pieces: pieces.map(hex),
      roots: roots.map(hex),
      indexPayload: hex(index.signed.payload),
      indexSignature: hex(index.signed.signature),
    }
  }
  const sealed = await bench.manifests.seal(
    { map, body },
    { slab: group, salt: manifestSalt, readKey, signal },
  )
  const index = signIndex(manifestSigner, NETWORK, {
    group,
    k: 1,
    n: redundancy.n,
    sealedBytes: sealed.pieces.map(({ length }) => length),
    roots: sealed.roots.flatMap((root) => Array.from({ length: redundancy.n }, () => root)),
  })
  const { slabs, entries, ...head } = body
  const batch = {
    entries: entries.map(({ path, type, mode, size, offset, mime, target }) => ({
      path,
      type,
      mode,
      size,
      offset,
      mime,
      target,
    })),
    hashes: kind === 'tree' ? sha256 : new Uint8Array(0),
  }
  const link = { power: 'read' as const, slab: group, key: readKey }
  return {
    network: NETWORK,
    content: hex(content),
    ...redundancy,
    ownerSecret: hex(ownerSecret),
    fileKey: hex(fileKey),
    readKey: hex(readKey),
    data,
    manifest: {
      salt: hex(manifestSalt),
      slab: hex(group),
      map: hex(encodeMap(map)),
      body:
        hex(
          headToBytes({
            ...head,
            salts: Buffer.concat(slabs.map(({ salt }) => salt)),
            modes: Buffer.concat(slabs.map(({ modes }) => modes)),
          }),
        ) + hex(entriesToBytes(batch)),
      pieces: sealed.pieces.map(hex),
      roots: sealed.roots.map(hex),
      indexPayload: hex(index.signed.payload),
      indexSignature: hex(index.signed.signature),
    },
    readLink: formatLink(link),
    verifyLink: formatLink({ power: 'verify', slab: group, key: verifyKey(readKey) }),
    manifestFile: hex(encodeManifestFile({ link, index: index.signed, pieces: sealed.pieces })),
  }
}

/** All that docs/vault-vectors.json has and that follows from its inputs alone. */
export async function computeVectors(bench: CodecBench) {
  const content = new TextEncoder().encode('hello, vault\n')
  return {
    keys: keyVectors(),
    segments: segmentVectors(),
    puts: {
      file: await putVector(bench, content, 'file'),
      emptyFile: await putVector(bench, new Uint8Array(0), 'file'),
      tree: await putVector(bench, content, 'tree'),
    },
  }
}
