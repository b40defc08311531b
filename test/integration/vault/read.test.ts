import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import { SEGMENT_BYTES } from '../../../src/vault/codec/types.ts'
import type { ReadStatistics } from '../../../src/vault/types.ts'
import { eventually } from '../../support/network.ts'
import type { HouseNode, Stored } from '../../support/reading-house.ts'
import { ReadingHouse } from '../../support/reading-house.ts'

const MIB = 1024 * 1024
const signal = new AbortController().signal

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts)
}

const sum = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** A house of 8 holders and a reader that knows them all. */
async function furnish(bytes: number, redundancy = { k: 4, n: 8 }) {
  const house = new ReadingHouse()
  const holders = await house.start(8)
  const [reader] = (await house.start(1)) as [HouseNode]
  await house.connect(reader, holders)
  const stored = await house.put(randomBytes(bytes), holders, { redundancy })
  return { house, holders, reader, stored }
}

describe('reading from eight holders', () => {
  let house: ReadingHouse
  let holders: HouseNode[]
  let reader: HouseNode
  let stored: Stored

  beforeAll(async () => {
    ;({ house, holders, reader, stored } = await furnish(66 * MIB + 4321))
  }, 60_000)
  afterAll(() => house.stop(), 30_000)

  test('gives the very bytes, from four of them, each once', async () => {
    const statistics: ReadStatistics = { sources: [] }
    const bytes = await collect(reader.reading.cat(stored.link, { signal, statistics }))
    expect(sum(bytes)).toBe(sum(stored.content))
    const used = statistics.sources.filter((source) => source.bytes > MIB)
    expect(used.length).toBeGreaterThanOrEqual(4)
    const got = statistics.sources.reduce((total, source) => total + source.bytes, 0)
    expect(got).toBeLessThan(1.15 * bytes.length)
    expect(statistics.sources.every(({ failures }) => failures === 0)).toBe(true)
  }, 60_000)

  test('tells what a link leads to', async () => {
    expect(await reader.reading.resolve(stored.link, { signal })).toMatchObject({
      link: stored.link,
      name: 'film.bin',
      kind: 'file',
      type: 'file',
      size: stored.content.length,
      sha256: sum(stored.content),
      redundancy: 'rs:4/8',
      mime: 'application/octet-stream',
    })
    expect(await reader.reading.inspect({ link: stored.link }, signal)).toMatchObject({
      kind: 'link',
      power: 'read',
      slab: slabKeyOf(stored.manifest),
      name: 'film.bin',
      slabs: 2,
    })
  })

  test('any range is right, around the borders of segments and slabs', async () => {
    const size = stored.content.length
    const place = fc.oneof(
      fc.nat(size + 10),
      fc
        .tuple(fc.constantFrom(0, 1, 2, 63, 64, 65, 66), fc.integer({ min: -2, max: 2 }))
        .map(([segment, off]) => Math.max(0, segment * SEGMENT_BYTES + off)),
    )
    await fc.assert(
      fc.asyncProperty(place, fc.integer({ min: 0, max: 2 * MIB }), async (offset, length) => {
        const bytes = await collect(reader.reading.cat(stored.link, { signal, offset, length }))
        expect(bytes.equals(stored.content.subarray(offset, offset + length))).toBe(true)
      }),
      { numRuns: 20 },
    )
  }, 60_000)

  test('a short range asks for no more than its segments', async () => {
    const before = holders.reduce((total, { holder }) => total + holder.pieces, 0)
    const offset = 40 * MIB + 5
    const bytes = await collect(reader.reading.cat(stored.link, { signal, offset, length: 10 }))
    expect(bytes.equals(stored.content.subarray(offset, offset + 10))).toBe(true)
    const after = holders.reduce((total, { holder }) => total + holder.pieces, 0)
    expect(after - before).toBeLessThanOrEqual(8)
  })

  test('a slow consumer is waited for, with little read ahead; then it goes on', async () => {
    const before = holders.reduce((total, { holder }) => total + holder.pieces, 0)
    const source = reader.reading.cat(stored.link, { signal })[Symbol.asyncIterator]()
    const parts = [(await source.next()).value as Uint8Array]
    const streams = (): number => reader.libp2p.services.chunk.statistics().outboundStreams
    const openStreams = streams()
    // Four fetches give up; what is left is a stream of requests for each holder.
    await eventually(
      'streams are given back',
      () => streams() <= Math.max(holders.length, openStreams - 4),
      20_000,
    )
    const ahead = holders.reduce((total, { holder }) => total + holder.pieces, 0) - before
    // The window, and what the credit of four streams of 4 MiB lets through: 256 KiB a piece.
    expect(ahead).toBeLessThan(4 * (16 + 16 + 8))
    for (let next = await source.next(); next.done !== true; next = await source.next())
      parts.push(next.value)
    expect(sum(Buffer.concat(parts))).toBe(sum(stored.content))
  }, 60_000)

  test('a reader that leaves stops everything', async () => {
    const service = reader.libp2p.services.chunk
    for await (const _ of reader.reading.cat(stored.link, { signal })) break
    const controller = new AbortController()
    const source = reader.reading.cat(stored.link, { signal: controller.signal })[Symbol.asyncIterator]()
    await source.next()
    controller.abort()
    await expect(
      (async () => {
        for (;;) if ((await source.next()).done === true) return
      })(),
    ).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    const received = (): number => service.statistics().receivedBytes
    await eventually('nothing comes any more', async () => {
      const before = received()
      await sleep(100)
      return received() === before
    })
  }, 30_000)

  test('several readers side by side', async () => {
    const offsets = [0, 1, 20, 33, 50, 60, 61, 62].map((segment) => segment * MIB)
    const all = await Promise.all(
      offsets.map((offset) => collect(reader.reading.cat(stored.link, { signal, offset, length: 4 * MIB }))),
    )
    for (const [at, bytes] of all.entries()) {
      const offset = offsets[at] as number
      expect(bytes.equals(stored.content.subarray(offset, offset + 4 * MIB))).toBe(true)
    }
  }, 60_000)

  test('a verify link reads nothing', async () => {
    const link = reader.reading.share(stored.link, 'verify')
    await expect(collect(reader.reading.cat(link, { signal }))).rejects.toMatchObject({
      code: 'ERR_LINK_POWER',
    })
    await expect(reader.reading.resolve(link, { signal })).rejects.toMatchObject({ code: 'ERR_LINK_POWER' })
    expect(() => reader.reading.share(link, 'read')).toThrow(
      expect.objectContaining({ code: 'ERR_LINK_POWER' }),
    )
    expect(await reader.reading.inspect({ link }, signal)).toMatchObject({
      power: 'verify',
      name: null,
      size: null,
      redundancy: 'rs:4/8',
      slabs: 2,
    })
  })

  test('the .manifest file reads where nobody holds the manifest any more', async () => {
    const file = await reader.reading.manifestFile(stored.link, signal)
    const [other] = (await house.start(1)) as [HouseNode]
    await house.connect(other, holders)
    const key = slabKeyOf(stored.manifest)
    const kept = holders.map(({ holder }) => holder.columns.get(key))
    for (const { holder } of holders) holder.columns.delete(key)
    try {
      await expect(other.reading.resolve(stored.link, { signal })).rejects.toMatchObject({
        code: 'ERR_VAULT_NOT_FOUND',
        kind: 'not-found',
      })
      expect(await other.reading.openManifest(file)).toBe(stored.link)
      const bytes = await collect(other.reading.cat(stored.link, { signal, offset: 5, length: 100 }))
      expect(bytes.equals(stored.content.subarray(5, 105))).toBe(true)
      const altered = Buffer.from(file)
      altered[file.length - 20] = (altered[file.length - 20] as number) ^ 1
      await expect(other.reading.openManifest(altered)).rejects.toMatchObject({ code: 'ERR_VAULT_INVALID' })
    } finally {
      for (const [at, { holder }] of holders.entries()) {
        const column = kept[at]
        if (column !== undefined) holder.columns.set(key, column)
      }
    }
  }, 60_000)

  test('a wrong key is told apart from a lost file', async () => {
    const { parseLink, formatLink } = await import('../../../src/vault/codec/index.ts')
    const wrong = formatLink({ ...parseLink(stored.link), key: randomBytes(32) })
    await expect(reader.reading.resolve(wrong, { signal })).rejects.toMatchObject({
      code: 'ERR_VAULT_INVALID',
    })
  })

  test('a holder reads too, its own column included', async () => {
    const [first] = holders as [HouseNode]
    await house.connect(first, holders.slice(1, 4))
    const bytes = await collect(first.reading.cat(stored.link, { signal, offset: 3, length: 3 * MIB }))
    expect(bytes.equals(stored.content.subarray(3, 3 + 3 * MIB))).toBe(true)
  }, 30_000)
})

describe('when holders fail', () => {
  test('any four may be gone; with five it says so; it reads again when one returns', async () => {
    const { house, holders, reader, stored } = await furnish(5 * MIB + 1)
    try {
      const columns = holders.map(({ holder }) => new Map(holder.columns))
      const silence = (gone: number[]): void => {
        for (const [at, { holder }] of holders.entries()) {
          holder.columns.clear()
          if (gone.includes(at)) continue
          for (const [key, column] of columns[at] as Map<string, never>) holder.columns.set(key, column)
        }
      }
      for (const gone of [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [0, 2, 5, 7],
      ]) {
        silence(gone)
        expect(sum(await collect(reader.reading.cat(stored.link, { signal })))).toBe(sum(stored.content))
      }
      silence([0, 1, 2, 3, 4])
      await expect(collect(reader.reading.cat(stored.link, { signal }))).rejects.toMatchObject({
        code: 'ERR_VAULT_PIECES',
        kind: 'not-found',
        message: expect.stringContaining('3 of the 4 needed pieces found for slab'),
      })
      silence([0, 1, 2, 3])
      expect(sum(await collect(reader.reading.cat(stored.link, { signal })))).toBe(sum(stored.content))
    } finally {
      await house.stop()
    }
  }, 60_000)

  test('holders that vanish in the middle of a read are replaced', async () => {
    const { house, holders, reader, stored } = await furnish(26 * MIB)
    try {
      const statistics: ReadStatistics = { sources: [] }
      const source = reader.reading.cat(stored.link, { signal, statistics })[Symbol.asyncIterator]()
      const parts: Uint8Array[] = []
      for (let next = await source.next(); next.done !== true; next = await source.next()) {
        parts.push(next.value)
        if (parts.length % 6 === 0 && parts.length <= 24) {
          const busiest = statistics.sources
            .filter(({ peer }) =>
              holders.some(({ name, libp2p }) => name === peer && libp2p.status === 'started'),
            )
            .sort((one, other) => other.bytes - one.bytes)[0]
          await holders.find(({ name }) => name === busiest?.peer)?.stop()
        }
      }
      expect(sum(Buffer.concat(parts))).toBe(sum(stored.content))
      expect(holders.filter(({ libp2p }) => libp2p.status !== 'started')).toHaveLength(4)
    } finally {
      await house.stop()
    }
  }, 60_000)

  test('liars are found out, reported, and avoided from then on', async () => {
    const { house, holders, reader, stored } = await furnish(6 * MIB)
    try {
      const liars = holders.slice(0, 2)
      for (const { holder } of liars) {
        holder.onPiece = async (bytes) => {
          const wrong = Uint8Array.from(bytes)
          wrong[100] = (wrong[100] as number) ^ 0xff
          return wrong
        }
      }
      // The manifest's copies come from the honest ones too.
      expect(sum(await collect(reader.reading.cat(stored.link, { signal })))).toBe(sum(stored.content))
      const evidence = reader.trust.evidence
        .filter(({ kind }) => kind === 'piece-invalid')
        .map(({ peer }) => peer)
      expect(evidence.length).toBeGreaterThan(0)
      expect(evidence.every((peer) => liars.some(({ name }) => name === peer))).toBe(true)
      const before = liars.map(({ holder }) => holder.pieces)
      expect(sum(await collect(reader.reading.cat(stored.link, { signal, offset: 1 })))).toBe(
        sum(stored.content.subarray(1)),
      )
      const caught = liars.filter(({ name }) => evidence.includes(name))
      for (const liar of caught) expect(liar.holder.pieces).toBe(before[liars.indexOf(liar)])
      expect(reader.missing.map(({ slab }) => slab)).toContain(slabKeyOf(stored.slabs[0] as Uint8Array))
    } finally {
      await house.stop()
    }
  }, 60_000)

  test('one that claims to have and has not, and one that goes silent, hold nobody up for long', async () => {
    const { house, holders, reader, stored } = await furnish(12 * MIB)
    try {
      const [claimer, silent] = holders as [HouseNode, HouseNode]
      const key = slabKeyOf(stored.slabs[0] as Uint8Array)
      const held = claimer.holder.columns.get(key)
      claimer.holder.columns.delete(key)
      claimer.holder.claims.set(key, {
        slab: stored.slabs[0] as Uint8Array,
        column: 0,
        indexHash: held?.index.hash as Uint8Array,
      })
      silent.holder.onPiece = () => new Promise(() => {})
      const startedMs = performance.now()
      expect(sum(await collect(reader.reading.cat(stored.link, { signal })))).toBe(sum(stored.content))
      expect(performance.now() - startedMs).toBeLessThan(12_000)
    } finally {
      await house.stop()
    }
  }, 60_000)
})

describe('copies', () => {
  test('are read from several holders, and from the last one alone', async () => {
    const { house, holders, reader, stored } = await furnish(24 * MIB + 7, { k: 1, n: 5 })
    try {
      const statistics: ReadStatistics = { sources: [] }
      const bytes = await collect(reader.reading.cat(stored.link, { signal, statistics }))
      expect(sum(bytes)).toBe(sum(stored.content))
      expect(statistics.sources.filter(({ pieces }) => pieces >= 2).length).toBeGreaterThanOrEqual(3)
      for (const { holder } of holders.slice(0, 4)) holder.columns.clear()
      expect(sum(await collect(reader.reading.cat(stored.link, { signal })))).toBe(sum(stored.content))
    } finally {
      await house.stop()
    }
  }, 60_000)

  test('sizes around nothing, one byte and a segment', async () => {
    const house = new ReadingHouse()
    try {
      const holders = await house.start(3)
      const [reader] = (await house.start(1)) as [HouseNode]
      await house.connect(reader, holders)
      for (const size of [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1]) {
        for (const redundancy of [
          { k: 1, n: 3 },
          { k: 2, n: 3 },
        ]) {
          const stored = await house.put(randomBytes(size), holders, { redundancy })
          expect((await collect(reader.reading.cat(stored.link, { signal }))).equals(stored.content)).toBe(
            true,
          )
        }
      }
    } finally {
      await house.stop()
    }
  }, 60_000)
})

describe('trees', () => {
  test('are listed, read by path, and come as a tar', async () => {
    const house = new ReadingHouse()
    try {
      const holders = await house.start(3)
      const [reader] = (await house.start(1)) as [HouseNode]
      await house.connect(reader, holders)
      const files = [randomBytes(10), randomBytes(0), randomBytes(2 * MIB + 3), randomBytes(700)]
      const paths = ['a.txt', 'empty', 'd/film', 'd/e/last']
      let offset = 0
      const entries = files.map((bytes, at) => {
        const entry = {
          path: paths[at] as string,
          type: 'file' as const,
          mode: at === 0 ? 0o755 : null,
          size: bytes.length,
          offset,
          sha256: createHash('sha256').update(bytes).digest(),
          mime: 'text/plain',
          target: '',
        }
        offset += bytes.length
        return entry
      })
      const stored = await house.put(Buffer.concat(files), holders, { redundancy: { k: 2, n: 3 }, entries })
      const { reading } = reader
      expect(await reading.resolve(stored.link, { signal })).toMatchObject({
        kind: 'tree',
        type: 'directory',
      })
      expect(await reading.resolve(stored.link, { signal, path: 'd/film' })).toMatchObject({
        name: 'film',
        type: 'file',
        size: 2 * MIB + 3,
      })
      expect((await reading.entries(stored.link, { signal })).map(({ path }) => path)).toEqual([
        'a.txt',
        'd',
        'empty',
      ])
      for (const [at, path] of paths.entries()) {
        expect((await collect(reading.cat(stored.link, { signal, path }))).equals(files[at] as Buffer)).toBe(
          true,
        )
      }
      const part = await collect(
        reading.cat(stored.link, { signal, path: 'd/e/last', offset: 690, length: 100 }),
      )
      expect(part.equals((files[3] as Buffer).subarray(690))).toBe(true)
      await expect(collect(reading.cat(stored.link, { signal }))).rejects.toMatchObject({
        code: 'ERR_NOT_A_FILE',
      })
      await expect(collect(reading.cat(stored.link, { signal, path: 'x' }))).rejects.toMatchObject({
        code: 'ERR_NOT_FOUND',
      })
      const statistics: ReadStatistics = { sources: [] }
      const tar = await collect(reading.tar(stored.link, { signal, name: 'root', statistics }))
      for (const bytes of files) expect(tar.includes(bytes)).toBe(true)
      expect(tar.length % 512).toBe(0)
      expect(statistics.sources.reduce((total, { bytes }) => total + bytes, 0)).toBeLessThan(1.3 * offset)
    } finally {
      await house.stop()
    }
  }, 60_000)
})
