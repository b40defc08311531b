import { describe, expect, it, test } from 'vitest'
import vectors from '../../../../docs/vault-vectors.json' with { type: 'json' }
import { decodeIndex } from '../../../../protocols/chunk/format/index.ts'
import {
  decodeManifestFile,
  formatLink,
  ownerSecretOf,
  parseLink,
  segmentKey,
} from '../../../../src/vault/codec/index.ts'
import { openSegment } from '../../../../src/vault/codec/segment.ts'
import { codecBench } from '../../../support/vault-codec.ts'
import { computeVectors } from '../../../support/vault-vectors.ts'

const bench = codecBench()
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))

test('what follows from its inputs alone is as in the vectors', async () => {
  const { keys, segments, puts } = vectors
  expect(await computeVectors(bench)).toEqual({ keys, segments, puts })
})

test('the recovery phrase spells the owner secret', () => {
  expect(ownerSecretOf(vectors.keys.phrase)).toEqual(unhex(vectors.keys.ownerSecret))
})

test('a compressed segment opens', () => {
  const { fileKey, salt, slab, number, mode, sealed, segment } = vectors.compressed
  const key = segmentKey('segment', unhex(fileKey), unhex(salt), number)
  const opened = openSegment(unhex(sealed), mode, { slab: unhex(slab), number }, key)
  expect(hex(opened)).toBe(segment)
})

test.each(vectors.wrongLinks)('a link that is wrong: $why', ({ link, code }) => {
  expect(() => parseLink(link)).toThrow(expect.objectContaining({ code, kind: 'usage' }) as Error)
})

describe.each(Object.entries(vectors.puts))('the put of the vectors: %s', (_, put) => {
  it('is found by its links alone', async () => {
    const link = parseLink(put.readLink)
    expect(link).toEqual({ power: 'read', slab: unhex(put.manifest.slab), key: unhex(put.readKey) })
    expect(formatLink(link)).toBe(put.readLink)
    const pieces = put.manifest.pieces.map(unhex)
    const { slab, key: readKey } = link
    const { map, body } = await bench.manifests.open(pieces, { slab, readKey, signal: bench.signal })
    const verify = parseLink(put.verifyLink)
    const shown = await bench.manifests.openMap(pieces, { slab, verifyKey: verify.key, signal: bench.signal })
    expect(shown).toEqual(map)
    expect(body.size).toBe(put.content.length / 2)
    const [dataSlab] = map.groups.flatMap(({ slabs }) => slabs)
    const [salted] = body.slabs
    if (put.data === null) {
      expect([dataSlab, salted]).toEqual([undefined, undefined])
      return
    }
    if (dataSlab === undefined || salted === undefined) expect.fail('no data')
    const signed = { payload: unhex(put.data.indexPayload), signature: unhex(put.data.indexSignature) }
    const index = decodeIndex(signed, put.network)
    expect(hex(index.slab)).toBe(hex(dataSlab))
    const found = new Map([
      [0, unhex(put.data.pieces[0] ?? '')],
      [2, unhex(put.data.pieces[2] ?? '')],
    ])
    const content = await bench.segments.decode(found, {
      slab: dataSlab,
      number: 0,
      mode: salted.modes[0] ?? -1,
      key: segmentKey('segment', body.fileKey, salted.salt, 0),
      sealedBytes: index.sealedBytes[0] ?? 0,
      redundancy: map.redundancy,
      signal: bench.signal,
    })
    expect(hex(content)).toBe(put.content)
  })

  it('has a .manifest file that says the same', () => {
    const { link, index, pieces } = decodeManifestFile(unhex(put.manifestFile))
    expect(formatLink(link)).toBe(put.readLink)
    expect(pieces).toEqual(put.manifest.pieces.map(unhex))
    const decoded = decodeIndex(index, put.network)
    expect(hex(decoded.slab)).toBe(put.manifest.slab)
    expect(hex(decoded.group)).toBe(put.manifest.slab)
  })
})
