import { randomBytes } from 'node:crypto'
import { create, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { BodySchema, MapSchema } from '../../../../protocols/chunk/format/format_pb.ts'
import { pieceRoot } from '../../../../protocols/chunk/format/index.ts'
import {
  decodeManifestFile,
  encodeManifestFile,
  type ManifestBody,
  type ManifestEntry,
  type ManifestMap,
  SEGMENT_BYTES,
  SEGMENTS_PER_SLAB,
  verifyKey,
} from '../../../../src/vault/codec/index.ts'
import { segmentKey } from '../../../../src/vault/codec/keys.ts'
import { sealSegment } from '../../../../src/vault/codec/segment.ts'
import { codecBench, fileManifest, patterned } from '../../../support/vault-codec.ts'

const { manifests, signal } = codecBench()
const invalid = { code: 'ERR_VAULT_INVALID', kind: 'verification' }

function keys() {
  return {
    slab: new Uint8Array(randomBytes(32)),
    salt: new Uint8Array(randomBytes(32)),
    readKey: new Uint8Array(randomBytes(32)),
    signal,
  }
}

function slabsOf(size: number) {
  const segments = Math.ceil(size / SEGMENT_BYTES)
  return Array.from({ length: Math.ceil(segments / SEGMENTS_PER_SLAB) }, (_, at) => ({
    salt: new Uint8Array(randomBytes(32)),
    modes: new Uint8Array(Math.min(SEGMENTS_PER_SLAB, segments - at * SEGMENTS_PER_SLAB)),
  }))
}

function mapOf(slab: Uint8Array, count: number): ManifestMap {
  const slabs = Array.from({ length: count }, () => new Uint8Array(randomBytes(32)))
  const groups = [{ id: slab, slabs: slabs.slice(0, 63) }]
  for (let at = 63; at < count; at += 64) {
    groups.push({ id: slabs[at] ?? expect.fail(), slabs: slabs.slice(at, at + 64) })
  }
  return { redundancy: { k: 4, n: 8 }, groups }
}

function entry(path: string, changes: Partial<ManifestEntry> = {}): ManifestEntry {
  const file = (changes.type ?? 'file') === 'file'
  return {
    path,
    type: 'file',
    mode: null,
    size: 0,
    offset: 0,
    sha256: file ? new Uint8Array(randomBytes(32)) : null,
    mime: '',
    target: '',
    ...changes,
  }
}

/** A tree whose files have these sizes. */
function tree(slab: Uint8Array, entries: ManifestEntry[]) {
  let size = 0
  for (const one of entries) {
    if (one.type !== 'file') continue
    one.offset = size
    size += one.size
  }
  const slabs = slabsOf(size)
  const { body } = fileManifest(slab, { kind: 'tree', size, sha256: null, slabs, entries })
  return { map: mapOf(slab, slabs.length), body }
}

async function roundtrip(manifest: { map: ManifestMap; body: ManifestBody }, with_ = keys()) {
  const slab = manifest.map.groups[0]?.id ?? with_.slab
  const options = { ...with_, slab }
  const sealed = await manifests.seal(manifest, options)
  expect(sealed.roots.map((root) => Buffer.from(root))).toEqual(
    sealed.pieces.map((piece) => Buffer.from(pieceRoot(piece))),
  )
  return { options, sealed, opened: await manifests.open(sealed.pieces, options) }
}

describe('a manifest', () => {
  it('of a file comes back as it was, and the verify key shows its map only', async () => {
    const manifest = fileManifest(new Uint8Array(randomBytes(32)))
    const { options, sealed, opened } = await roundtrip(manifest)
    expect(opened).toEqual(manifest)
    expect(sealed.pieces.length).toBe(2)
    const { slab } = options
    const verify = verifyKey(options.readKey)
    expect(await manifests.openMap(sealed.pieces, { slab, verifyKey: verify, signal })).toEqual(manifest.map)
    expect(await manifests.openMap(sealed.pieces.slice(0, 1), { slab, verifyKey: verify, signal })).toEqual(
      manifest.map,
    )
    await expect(manifests.open(sealed.pieces, { slab, readKey: verify, signal })).rejects.toMatchObject({
      ...invalid,
      message: 'segment 0 (map of the manifest) does not open: wrong key or altered',
    })
  })

  it('of an empty file names no slabs', async () => {
    const manifest = fileManifest(new Uint8Array(randomBytes(32)), { size: 0, slabs: [] })
    manifest.map.groups = [{ id: manifest.map.groups[0]?.id ?? expect.fail(), slabs: [] }]
    const { opened, sealed } = await roundtrip(manifest)
    expect(opened).toEqual(manifest)
    // Padded to a kilobyte or two, like that of any small file.
    expect(sealed.pieces.map(({ length }) => length)).toEqual([33 + 4 + 1024 + 16, 33 + 4 + 1024 + 16])
  })

  it('of a tree comes back as it was', async () => {
    const slab = new Uint8Array(randomBytes(32))
    const entries = [
      entry('a', { type: 'directory', mode: 0o755 }),
      entry('a/empty.txt', { mode: 0o600, mime: 'text/plain' }),
      entry('a/one', { size: 1_000_000 }),
      entry('b', { type: 'symlink', target: '../elsewhere' }),
      entry('ünï/…', { size: 3_000_000, mode: 0 }),
    ]
    const manifest = tree(slab, entries)
    expect((await roundtrip(manifest)).opened).toEqual(manifest)
    const empty = tree(slab, [])
    expect((await roundtrip(empty)).opened).toEqual(empty)
  })

  it('comes back whatever is in it', async () => {
    const names = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .filter((name) => !/[/\0]/.test(name) && name !== '.' && name !== '..' && name.isWellFormed())
    const files = fc.uniqueArray(
      fc.record({
        name: names,
        size: fc.nat(3_000_000),
        mode: fc.option(fc.nat(0o7777)),
        mime: fc.string({ maxLength: 40 }),
      }),
      { selector: ({ name }) => name, maxLength: 30 },
    )
    await fc.assert(
      fc.asyncProperty(names, files, async (name, list) => {
        fc.pre(list.every(({ mime }) => mime.isWellFormed()))
        const manifest = tree(
          new Uint8Array(randomBytes(32)),
          list.map(({ name: path, ...rest }) => entry(path, rest)),
        )
        manifest.body.name = name
        expect((await roundtrip(manifest)).opened).toEqual(manifest)
      }),
      { numRuns: 30 },
    )
  })

  it('of a put of many slabs fits its groups', async () => {
    const slab = new Uint8Array(randomBytes(32))
    const size = 200 * 64 * SEGMENT_BYTES - 5
    const manifest = fileManifest(slab, { size, slabs: slabsOf(size) })
    manifest.map = mapOf(slab, 200)
    expect((await roundtrip(manifest)).opened).toEqual(manifest)
  })
})

describe('pieces of a manifest', () => {
  const manifest = fileManifest(new Uint8Array(randomBytes(32)))
  const slab = manifest.map.groups[0]?.id ?? expect.fail()
  const options = { ...keys(), slab }

  test('a bit flipped anywhere, a byte missing, pieces exchanged or missing', async () => {
    const { pieces } = await manifests.seal(manifest, options)
    const [first = expect.fail(), second = expect.fail()] = pieces
    for (let at = 0; at < first.length; at += 13) {
      const altered = first.slice()
      altered[at] = (altered[at] ?? 0) ^ 1
      await expect(manifests.open([altered, second], options)).rejects.toMatchObject(invalid)
    }
    for (let at = 0; at < second.length; at += 13) {
      const altered = second.slice()
      altered[at] = (altered[at] ?? 0) ^ 1
      await expect(manifests.open([first, altered], options)).rejects.toMatchObject(invalid)
    }
    for (const wrong of [
      [],
      [first],
      [second],
      [second, first],
      [first, first],
      [first, second, second],
      [first.slice(1), second],
      [first, second.slice(0, -1)],
      [new Uint8Array(0), second],
    ]) {
      await expect(manifests.open(wrong, options)).rejects.toMatchObject(invalid)
    }
    // What was handed in is still there.
    expect(await manifests.open(pieces, options)).toEqual(manifest)
    await expect(manifests.open(pieces, { ...options, slab: randomBytes(32) })).rejects.toMatchObject(invalid)
  })

  test('layers of two attempts under one key', async () => {
    const one = await manifests.seal(manifest, options)
    const other = await manifests.seal(manifest, { ...options, salt: new Uint8Array(randomBytes(32)) })
    const mixed = [one.pieces[0] ?? expect.fail(), other.pieces[1] ?? expect.fail()]
    await expect(manifests.open(mixed, options)).rejects.toMatchObject({
      ...invalid,
      message: 'the layers of the manifest do not belong together',
    })
  })
})

describe('what no manifest may say', () => {
  const slab = new Uint8Array(randomBytes(32))
  const options = { ...keys(), slab }
  const good = () => fileManifest(slab)

  async function refused(manifest: { map: ManifestMap; body: ManifestBody }, what: string) {
    await expect(manifests.seal(manifest, options)).rejects.toMatchObject({
      ...invalid,
      message: expect.stringContaining(what) as string,
    })
  }

  test('paths that lead elsewhere', async () => {
    for (const path of [
      '',
      '/',
      '/etc/passwd',
      '..',
      'a/../b',
      './a',
      'a//b',
      'a/',
      'a\0b',
      'x'.repeat(4097),
      'ü'.repeat(2049),
      '\ud800',
    ]) {
      await refused(tree(slab, [entry(path)]), 'path')
    }
    await expect(manifests.seal(tree(slab, [entry('ü'.repeat(2048))]), options)).resolves.toBeDefined()
  })

  test('entries within files or links, and paths named twice', async () => {
    await refused(tree(slab, [entry('a', { type: 'symlink', target: '/etc' }), entry('a/passwd')]), 'within')
    await refused(tree(slab, [entry('a/b/c/d'), entry('a/b', { size: 1 })]), 'within')
    await refused(tree(slab, [entry('a'), entry('a')]), 'twice')
    await expect(
      manifests.seal(
        tree(slab, [entry('a/b/c'), entry('a', { type: 'directory' }), entry('a/b/d')]),
        options,
      ),
    ).resolves.toBeDefined()
  })

  test('files that overlap, leave gaps or reach beyond the stream', async () => {
    for (const shift of [-1, 1]) {
      const overlapping = tree(slab, [entry('a', { size: 10 }), entry('b', { size: 10 })])
      const second = overlapping.body.entries[1] ?? expect.fail()
      second.offset += shift
      await refused(overlapping, 'not where the one before it ends')
    }
    const short = tree(slab, [entry('a', { size: 10 })])
    short.body.size = 11
    await refused(short, 'do not fill its stream')
  })

  test('sizes, slabs, modes, hashes and names that do not fit', async () => {
    for (const [changes, what] of [
      [{ size: 3 * SEGMENT_BYTES }, 'slabs that do not fit its size'],
      [{ size: -1 }, 'number'],
      [{ size: 2 ** 60 }, 'number'],
      [{ createdMs: 0.5 }, 'number'],
      [{ slabs: [{ salt: randomBytes(31), modes: Uint8Array.of(0, 1) }] }, 'slabs that do not fit'],
      [{ slabs: [{ salt: randomBytes(32), modes: Uint8Array.of(0, 2) }] }, 'unknown mode'],
      [{ sha256: null }, 'hash'],
      [{ sha256: randomBytes(20) }, 'hash'],
      [{ fileKey: randomBytes(16) }, 'file key'],
      [{ name: '' }, 'name'],
      [{ name: 'a/b' }, 'name'],
      [{ name: '..' }, 'name'],
      [{ name: 'n'.repeat(256) }, 'name'],
      [{ mime: 'm'.repeat(256) }, 'MIME'],
      [{ entries: [entry('a')] }, 'manifest of a file has entries'],
      [{ size: 0, slabs: [] }, 'number of slabs'],
    ] as const) {
      const { map, body } = good()
      await refused({ map, body: { ...body, ...changes } as ManifestBody }, what)
    }
    await refused(tree(slab, [entry('a', { sha256: null })]), 'hash')
    await refused(tree(slab, [entry('a', { type: 'directory', sha256: randomBytes(32) })]), 'hash')
    await refused(tree(slab, [entry('a', { type: 'directory', size: 1 })]), 'content')
    await refused(tree(slab, [entry('a', { mode: 0o10000 })]), 'mode')
    await refused(tree(slab, [entry('a', { type: 'symlink' })]), 'target')
    await refused(tree(slab, [entry('a', { target: 'b' })]), 'target')
  })

  test('groups that do not fit', async () => {
    const ids = [randomBytes(32), randomBytes(32)].map((id) => new Uint8Array(id))
    const [one = expect.fail(), two = expect.fail()] = ids
    const size = SEGMENT_BYTES
    const body = { ...good().body, size, slabs: slabsOf(size) }
    for (const [groups, what] of [
      [[], 'group'],
      [[{ id: one, slabs: [two] }], 'first group'],
      [[{ id: slab, slabs: [one.slice(1)] }], 'slab id'],
      [
        [
          { id: slab, slabs: [] },
          { id: two, slabs: [one] },
        ],
        'named by its first slab',
      ],
      [
        [
          { id: slab, slabs: [one] },
          { id: two, slabs: [] },
        ],
        'has 0 slabs',
      ],
      [[{ id: slab, slabs: Array.from({ length: 64 }, () => one) }], 'has 64 slabs'],
    ] as const) {
      await refused({ map: { redundancy: { k: 4, n: 8 }, groups: groups as never }, body }, what)
    }
    const twice = { ...good().body, size: 65 * size, slabs: slabsOf(65 * size) }
    await refused(
      { map: { redundancy: { k: 4, n: 8 }, groups: [{ id: slab, slabs: [one, one] }] }, body: twice },
      'twice',
    )
    await refused({ map: { ...good().map, redundancy: { k: 8, n: 4 } }, body: good().body }, 'k and n')
  })

  test('more than a slab takes', async () => {
    const long = 'x'.repeat(4_000)
    const entries = Array.from({ length: 17_000 }, (_, at) => entry(`${long}${at}`))
    await expect(manifests.seal(tree(slab, entries), options)).rejects.toMatchObject({
      code: 'ERR_VAULT_TOO_LARGE',
      kind: 'too-large',
    })
  })
})

describe('layers made by somebody who has the key', () => {
  const slab = new Uint8Array(randomBytes(32))
  const salt = new Uint8Array(randomBytes(32))
  const readKey = new Uint8Array(randomBytes(32))
  const options = { slab, readKey, signal }

  function pieceOf(layer: 'map' | 'body', number: number, bytes: Uint8Array, length = bytes.length) {
    const framed = Buffer.concat([Buffer.alloc(4), bytes])
    framed.writeUInt32BE(length)
    const key = segmentKey(layer, layer === 'map' ? verifyKey(readKey) : readKey, salt, number)
    const { mode, sealed } = sealSegment(framed, { slab, number }, key)
    return Buffer.concat([Buffer.of(mode), salt, sealed])
  }

  function mapBytes(changes: Record<string, unknown> = {}) {
    const groups = [{ id: slab, slabs: new Uint8Array(0) }]
    return toBinary(MapSchema, create(MapSchema, { version: 1, segments: 1, k: 1, n: 5, groups, ...changes }))
  }

  function bodyBytes(changes: Record<string, unknown> = {}) {
    const body = { version: 1, name: 'x', kind: 1, fileKey: new Uint8Array(32), ...changes }
    return toBinary(BodySchema, create(BodySchema, body))
  }

  const opened = (map: Uint8Array, body: Uint8Array) =>
    manifests.open([pieceOf('map', 0, map), pieceOf('body', 1, body)], options)

  test('versions, kinds and types that are not known', async () => {
    expect((await opened(mapBytes(), bodyBytes())).body.kind).toBe('tree')
    await expect(opened(mapBytes({ version: 2 }), bodyBytes())).rejects.toThrow('version 2')
    await expect(opened(mapBytes(), bodyBytes({ version: 7 }))).rejects.toThrow('version 7')
    await expect(opened(mapBytes(), bodyBytes({ kind: 3 }))).rejects.toThrow('unknown kind 3')
    const entries = [{ path: 'a', type: 9 }]
    await expect(opened(mapBytes(), bodyBytes({ entries }))).rejects.toThrow('unknown type 9')
    await expect(opened(mapBytes(), bodyBytes({ size: 2n ** 63n }))).rejects.toThrow('too large')
    await expect(opened(mapBytes({ segments: 2 }), bodyBytes())).rejects.toThrow('number of its segments')
    const cut = [{ id: slab, slabs: new Uint8Array(33) }]
    await expect(opened(mapBytes({ groups: cut }), bodyBytes())).rejects.toThrow('cut slab id')
  })

  test('lengths that lie', async () => {
    const map = pieceOf('map', 0, mapBytes())
    for (const length of [0, 1, 5_000, 2 ** 20, 2 ** 26 + 1, 2 ** 32 - 1]) {
      const body = pieceOf('body', 1, bodyBytes(), length)
      await expect(manifests.open([map, body], options)).rejects.toMatchObject(invalid)
    }
  })

  test('garbage', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (garbage, inMap) => {
        const attempt = inMap ? opened(garbage, bodyBytes()) : opened(mapBytes(), garbage)
        await expect(attempt).rejects.toMatchObject(invalid)
      }),
      { numRuns: 200 },
    )
  })

  test('a body with bytes altered opens to something checked, or not at all', async () => {
    const good = bodyBytes({
      size: 10n,
      slabs: [{ salt, modes: Uint8Array.of(0) }],
      entries: [
        {
          path: 'a/b',
          size: 10n,
          sha256: new Uint8Array(32),
          mime: 'x/y',
        },
      ],
    })
    const map = mapBytes({ groups: [{ id: slab, slabs: salt }] })
    expect((await opened(map, good)).body.entries.length).toBe(1)
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
        const altered = good.slice()
        altered[at] = (altered[at] ?? 0) ^ by
        await opened(map, altered).catch((error: unknown) => expect(error).toMatchObject(invalid))
      }),
      { numRuns: 300 },
    )
  })
})

describe("a version of the owner's state", () => {
  it('comes back as it was, whatever its length', async () => {
    const { slab, salt } = keys()
    const key = new Uint8Array(randomBytes(32))
    for (const bytes of [0, 1, SEGMENT_BYTES - 5, SEGMENT_BYTES - 4, SEGMENT_BYTES - 3, 3 * SEGMENT_BYTES]) {
      const state = patterned(bytes)
      const { pieces } = await manifests.sealLayer(state, { slab, salt, key, signal })
      expect(pieces.length).toBe(Math.ceil((bytes + 4) / SEGMENT_BYTES))
      expect(Buffer.compare(await manifests.openLayer(pieces, { slab, key, signal }), state)).toBe(0)
    }
    const { pieces } = await manifests.sealLayer(patterned(2 * SEGMENT_BYTES), { slab, salt, key, signal })
    const [first = expect.fail(), second = expect.fail(), third = expect.fail()] = pieces
    for (const wrong of [
      [first, second],
      [first, third, second],
      [first, second, third, third],
    ]) {
      await expect(manifests.openLayer(wrong, { slab, key, signal })).rejects.toMatchObject(invalid)
    }
    await expect(manifests.openLayer(pieces, { slab, key: randomBytes(32), signal })).rejects.toThrow(
      "segment 0 (owner's state) does not open: wrong key or altered",
    )
  })
})

describe('a .manifest file', () => {
  const file = {
    link: { power: 'read' as const, slab: new Uint8Array(32).fill(1), key: new Uint8Array(32).fill(2) },
    index: { payload: new Uint8Array(300).fill(3), signature: new Uint8Array(64).fill(4) },
    pieces: [new Uint8Array(1077).fill(5), new Uint8Array(2101).fill(6)],
  }

  it('comes back as it was', () => {
    expect(decodeManifestFile(encodeManifestFile(file))).toEqual(file)
  })

  it('is never made out of garbage', () => {
    const refused = (bytes: Uint8Array) => {
      try {
        decodeManifestFile(bytes)
      } catch (error) {
        expect(error).toMatchObject(invalid)
        return true
      }
      return false
    }
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(refused(bytes)).toBe(true)
      }),
    )
    const good = encodeManifestFile(file)
    for (let end = 0; end < good.length; end += 7) expect(refused(good.subarray(0, end))).toBe(true)
    expect(refused(encodeManifestFile({ ...file, pieces: [] }))).toBe(true)
    expect(refused(encodeManifestFile({ ...file, link: { ...file.link, power: 'verify' as never } }))).toBe(
      true,
    )
    expect(
      refused(
        encodeManifestFile({ ...file, pieces: Array.from({ length: 65 }, () => new Uint8Array(1077)) }),
      ),
    ).toBe(true)
  })
})
