import { createHash, randomBytes } from 'node:crypto'
import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ManifestEntry, segmentKey } from '../../../../src/vault/codec/index.ts'
import { AtRest } from '../../../../src/vault/owner/at-rest.ts'
import { EntryJournal } from '../../../../src/vault/owner/put/entry-journal.ts'
import { FileHash } from '../../../../src/vault/owner/put/file-hash.ts'
import { Spool } from '../../../../src/vault/owner/put/spool.ts'
import { columnBytesAtMost } from '../../../../src/vault/owner/put/put-run.ts'
import { codecBench } from '../../../support/vault-codec.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'p2pnode-put-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('FileHash', () => {
  it('goes on from wherever it was saved', async () => {
    const other = await FileHash.create()
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }),
        fc.nat(8),
        async (parts, cut) => {
          const hash = await FileHash.create()
          for (const part of parts.slice(0, cut)) await hash.update(part)
          other.load(hash.save())
          for (const part of parts.slice(cut)) await other.update(part)
          expect(
            Buffer.from(other.digest()).equals(createHash('sha256').update(Buffer.concat(parts)).digest()),
          ).toBe(true)
        },
      ),
      { numRuns: 50 },
    )
  })

  it('refuses a state that it did not save', async () => {
    const hash = await FileHash.create()
    expect(() => hash.load('AAAA')).toThrow(expect.objectContaining({ code: 'ERR_CHECKPOINT_LOST' }))
  })
})

describe('EntryJournal', () => {
  const atRest = new AtRest(randomBytes(32))
  const entry = (path: string): ManifestEntry => ({
    path,
    type: 'file',
    mode: 0o644,
    size: 3,
    offset: 7,
    sha256: new Uint8Array(createHash('sha256').update(path).digest()),
    mime: 'text/plain',
    target: '',
  })
  const all = async (journal: EntryJournal): Promise<ManifestEntry[]> => {
    const entries: ManifestEntry[] = []
    for await (const found of journal.read()) entries.push(found)
    return entries
  }

  it('gives back what was marked, and forgets what came after', async () => {
    const path = join(folder, 'entries')
    const journal = await EntryJournal.open(path, atRest, 'put', 0)
    const before = ['secret-a', 'line\nfeed', '日本'].map(entry)
    for (const one of before) journal.append(one)
    const length = journal.mark()
    journal.append(entry('after'))
    journal.mark()
    await journal.sync()
    await journal.close()
    expect((await readFile(path)).includes('secret-a')).toBe(false)

    await appendFile(path, 'torn by a crash')
    const again = await EntryJournal.open(path, atRest, 'put', length)
    expect(await all(again)).toEqual(before)
    again.append(entry('another'))
    expect(await all(again)).toEqual([...before, entry('another')])
    await again.close()
  })

  it('says that it is gone, short or damaged', async () => {
    const path = join(folder, 'entries')
    await expect(EntryJournal.open(path, atRest, 'put', 5)).rejects.toMatchObject({
      code: 'ERR_CHECKPOINT_LOST',
    })
    const journal = await EntryJournal.open(path, atRest, 'put', 0)
    journal.append(entry('a'))
    const length = journal.mark()
    await journal.sync()
    await journal.close()
    // Of another put: the same bytes, moved.
    const moved = await EntryJournal.open(path, atRest, 'other', length)
    await expect(all(moved)).rejects.toMatchObject({ code: 'ERR_OWNER_STATE_UNREADABLE' })
    await moved.close()
    await truncate(path, length - 1)
    await expect(EntryJournal.open(path, atRest, 'put', length)).rejects.toMatchObject({
      code: 'ERR_CHECKPOINT_LOST',
    })
  })
})

describe('Spool', () => {
  const { segments, signal } = codecBench(1)

  it.each([
    { k: 1, n: 3 },
    { k: 2, n: 5 },
    { k: 4, n: 8 },
  ])('gives any piece of any segment again ($k of $n)', async (redundancy) => {
    const slab = randomBytes(32)
    const spool = await Spool.create(folder, slab, redundancy)
    const encoded = []
    for (const [number, size] of [1, 100_000, 1024 * 1024].entries()) {
      const key = segmentKey('segment', randomBytes(32), randomBytes(32), number)
      const one = await segments.encode(new Uint8Array(randomBytes(size)), {
        slab,
        number,
        key,
        redundancy,
        signal,
      })
      await spool.append(one.pieces, one.sealedBytes)
      encoded.push(one)
    }
    for (const [segment, { pieces }] of encoded.entries()) {
      for (const [column, piece] of pieces.entries()) {
        const again = await spool.piece(segment, column, segments, signal)
        expect(Buffer.from(again).equals(piece)).toBe(true)
      }
    }
    await spool.remove()
    expect(await readdir(folder)).toEqual([])
  })

  it('is swept at a start', async () => {
    await writeFile(join(folder, 'left'), 'x')
    await Spool.sweep(folder)
    expect(await readdir(folder)).toEqual([])
    await Spool.sweep(join(folder, 'missing'))
  })
})

describe('columnBytesAtMost', () => {
  it('is never less than what any slab of the put takes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 130 * 1024 * 1024 }),
        fc.integer({ min: 0, max: 130 * 1024 * 1024 }),
        (one, other) => {
          const [small, large] = one < other ? [one, other] : [other, one]
          expect(columnBytesAtMost({ k: 4, n: 8 }, small)).toBeLessThanOrEqual(
            columnBytesAtMost({ k: 4, n: 8 }, large),
          )
          expect(columnBytesAtMost({ k: 4, n: 8 }, large)).toBeLessThanOrEqual(
            columnBytesAtMost({ k: 4, n: 8 }, null),
          )
        },
      ),
    )
  })
})
