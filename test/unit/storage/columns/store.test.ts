import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ChunkStatus } from '../../../../protocols/chunk/errors.ts'
import { pieceRoot, verifyProof } from '../../../../protocols/chunk/format/index.ts'
import { columnsLayout } from '../../../../src/storage/columns/layout.ts'
import {
  beginDraft,
  openTestColumns,
  PEER,
  plainSigned,
  readColumn,
  storeColumn,
  testColumn,
  UNTIL_MS,
  writePieces,
} from '../../../support/columns.ts'
import { temporaryHome } from '../../../support/storage-blocks.ts'

const signal = new AbortController().signal
const refused = (status: number) => ({ code: 'ERR_CHUNK_REFUSED', status })

function plainIds({ slab, index }: ReturnType<typeof testColumn>) {
  return {
    slab: Uint8Array.from(slab),
    group: Uint8Array.from(index.group),
    indexHash: Uint8Array.from(index.hash),
  }
}

async function filesBelow(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
}

describe('a column', () => {
  test('comes back as it was stored, also after a new start', async () => {
    await using home = await temporaryHome()
    const column = testColumn('whole', { sealedBytes: [1, 100_000, 1_048_596] })
    {
      await using opened = await openTestColumns(home.path)
      const row = await storeColumn(opened.columns, column)
      expect(row).toMatchObject({
        column: 1,
        k: 2,
        n: 4,
        columnBytes: 1 + 50_000 + 524_298,
        untilMs: UNTIL_MS,
        leaseSequence: 1,
        purse: { kind: 'depositor', peer: PEER },
      })
      expect(opened.columns.get(column.slab)).toMatchObject({ ...row, ...plainIds(column) })
      expect(await readColumn(opened.columns, column)).toEqual(column.pieces)
    }
    await using opened = await openTestColumns(home.path)
    expect(await readColumn(opened.columns, column)).toEqual(column.pieces)
    expect(await opened.columns.index(column.slab)).toEqual(plainSigned(column.index.signed))
    expect(opened.columns.lease(column.slab)).toEqual(plainSigned(column.open.lease))
    expect(opened.columns.have([testColumn('other').slab, column.slab])).toEqual([
      {
        slab: column.slab,
        column: 1,
        indexHash: Uint8Array.from(column.index.hash),
        untilMs: UNTIL_MS,
        isRebuilt: false,
      },
    ])
    expect(await opened.columns.piece(column.slab, 3, { signal })).toBeUndefined()
    expect(opened.rotten).toEqual([])
  })

  test('proves its leaves', async () => {
    await using home = await temporaryHome()
    await using opened = await openTestColumns(home.path)
    const column = testColumn('proof', { sealedBytes: [200_000] })
    await storeColumn(opened.columns, column)
    const [piece] = column.pieces as [Uint8Array]
    for (const leaf of [0, 3, 6]) {
      const proof = await opened.columns.prove(column.slab, 0, leaf)
      expect(proof !== undefined && verifyProof(pieceRoot(piece), piece.length, leaf, proof)).toBe(true)
    }
    expect(await opened.columns.prove(column.slab, 0, 7)).toBeUndefined()
    expect(await opened.columns.prove(column.slab, 1, 0)).toBeUndefined()
    expect(opened.rotten).toEqual([])
  })

  test('is refused where pieces and index differ, and leaves nothing', async () => {
    await using home = await temporaryHome()
    await using opened = await openTestColumns(home.path)
    const { columns } = opened
    const column = testColumn('differs')
    const [first, second] = column.pieces as [Uint8Array, Uint8Array]
    const bad = second.slice()
    bad[second.length - 1] = (bad.at(-1) as number) ^ 1
    const attempts: [string, Uint8Array[]][] = [
      ['a flipped bit', [first, bad]],
      ['swapped pieces', [second, first]],
      ['a piece less', [first]],
      ['a shorter piece', [first, second.subarray(1)]],
    ]
    for (const [what, pieces] of attempts) {
      const draft = await beginDraft(columns, column.open)
      await writePieces(draft, pieces)
      await expect(draft.commit(column.index), what).rejects.toMatchObject(refused(ChunkStatus.invalid))
    }
    const other = await beginDraft(columns, column.open)
    await writePieces(other, column.pieces)
    await expect(other.commit(testColumn('another').index)).rejects.toMatchObject(
      refused(ChunkStatus.invalid),
    )
    expect(columns.usage()).toMatchObject({ columns: 0, usedBytes: 0, drafts: 0 })
    expect(await filesBelow(columnsLayout(home.path).rootPath)).toEqual([])
    await storeColumn(columns, column)
  })

  test('is refused before its pieces where what is said of it cannot be', async () => {
    await using home = await temporaryHome()
    await using opened = await openTestColumns(home.path)
    const { open } = testColumn('unsound')
    const { publicKey } = testColumn('another').open
    for (const wrong of [{ publicKey }, { column: 4 }, { k: 4 }, { n: 65 }, { maxColumnBytes: 0 }]) {
      await expect(opened.columns.begin({ ...open, ...wrong })).rejects.toMatchObject(
        refused(ChunkStatus.invalid),
      )
    }
    expect(opened.columns.usage().drafts).toBe(0)
  })

  test('may not grow beyond what was reserved, nor get more bytes than its pieces have', async () => {
    await using home = await temporaryHome()
    await using opened = await openTestColumns(home.path)
    const { open } = testColumn('grows')
    const long = await beginDraft(opened.columns, { ...open, maxColumnBytes: 10 })
    long.beginPiece(4)
    await long.write(new Uint8Array(4))
    expect(() => long.beginPiece(7)).toThrow(expect.objectContaining(refused(ChunkStatus.noSpace)))
    await expect(long.write(new Uint8Array(1))).rejects.toMatchObject(refused(ChunkStatus.noSpace))
    await long.abort()
    const over = await beginDraft(opened.columns, open)
    over.beginPiece(4)
    await expect(over.write(new Uint8Array(5))).rejects.toMatchObject(refused(ChunkStatus.invalid))
    await over.abort()
    const half = await beginDraft(opened.columns, open)
    half.beginPiece(4)
    expect(() => half.beginPiece(4)).toThrow(expect.objectContaining(refused(ChunkStatus.invalid)))
    await half.abort()
    expect(opened.columns.usage()).toMatchObject({ drafts: 0, usedBytes: 0 })
    expect(await filesBelow(columnsLayout(home.path).rootPath)).toEqual([])
  })

  test('that is given up leaves nothing, and may come again', async () => {
    await using home = await temporaryHome()
    await using opened = await openTestColumns(home.path)
    const column = testColumn('given up')
    const draft = await beginDraft(opened.columns, column.open)
    draft.beginPiece(1_500)
    const writing = draft.write((column.pieces[0] as Uint8Array).subarray(0, 700))
    await Promise.allSettled([writing, draft.abort()])
    await draft.abort()
    await expect(draft.commit(column.index)).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    expect(await filesBelow(columnsLayout(home.path).rootPath)).toEqual([])
    expect(opened.columns.usage()).toMatchObject({ drafts: 0, usedBytes: 0 })
    const row = await storeColumn(opened.columns, column)
    expect(row.column).toBe(1)
  })

  test('comes in parts of any size, written without waiting', async () => {
    await using home = await temporaryHome()
    await using opened = await openTestColumns(home.path)
    const column = testColumn('parts', { sealedBytes: [100_001, 7] })
    const draft = await beginDraft(opened.columns, column.open)
    const writes: Promise<void>[] = []
    for (const piece of column.pieces) {
      draft.beginPiece(piece.length)
      for (let at = 0; at < piece.length; at += 1_237)
        writes.push(draft.write(piece.subarray(at, at + 1_237)))
    }
    const committing = draft.commit(column.index)
    await Promise.all(writes)
    await committing
    expect(await readColumn(opened.columns, column)).toEqual(column.pieces)
  })
})

describe('a slab', () => {
  test('is written by one draft at a time', async () => {
    await using home = await temporaryHome()
    await using opened = await openTestColumns(home.path)
    const column = testColumn('two')
    const [one, two] = await Promise.allSettled([
      opened.columns.begin(column.open),
      opened.columns.begin({ ...column.open, column: 2 }),
    ])
    expect(one.status).toBe('fulfilled')
    expect(two).toMatchObject({ status: 'rejected', reason: refused(ChunkStatus.conflict) })
    const draft = (one as PromiseFulfilledResult<Awaited<ReturnType<typeof beginDraft>>>).value
    await expect(opened.columns.begin(column.open)).rejects.toMatchObject(refused(ChunkStatus.conflict))
    await writePieces(draft, column.pieces)
    await draft.commit(column.index)
  })

  test('that is held is answered with its row, and anything else of it refused', async () => {
    await using home = await temporaryHome()
    await using opened = await openTestColumns(home.path)
    const column = testColumn('held')
    const row = await storeColumn(opened.columns, column)
    expect(await opened.columns.begin(column.open)).toEqual({ alreadyHeld: { ...row, ...plainIds(column) } })
    for (const other of [{ column: 0 }, { n: 5 }, { k: 1 }, { group: testColumn('x').slab }]) {
      await expect(opened.columns.begin({ ...column.open, ...other })).rejects.toMatchObject(
        refused(ChunkStatus.conflict),
      )
    }
    expect(opened.columns.usage()).toMatchObject({ columns: 1, drafts: 0 })
  })

  test('can be removed, and stored again', async () => {
    await using home = await temporaryHome()
    await using opened = await openTestColumns(home.path)
    const column = testColumn('removed')
    await storeColumn(opened.columns, column)
    // It is no more what whoever removes it has seen.
    expect(await opened.columns.remove(column.slab, ({ leaseSequence }) => leaseSequence > 1_000)).toBe(false)
    expect(opened.columns.get(column.slab)).toBeDefined()
    expect(await opened.columns.remove(column.slab)).toBe(true)
    expect(await opened.columns.remove(column.slab)).toBe(false)
    expect(await readColumn(opened.columns, column)).toBeUndefined()
    expect(await opened.columns.index(column.slab)).toBeUndefined()
    expect(opened.columns.usage()).toMatchObject({ columns: 0, usedBytes: 0 })
    expect(await filesBelow(columnsLayout(home.path).rootPath)).toEqual([])
    await storeColumn(opened.columns, column)
    expect(await readColumn(opened.columns, column)).toEqual(column.pieces)
  })
})

describe('a lease', () => {
  test('is taken over by the higher number only, and twice without harm', async () => {
    await using home = await temporaryHome()
    await using opened = await openTestColumns(home.path)
    const { columns } = opened
    const column = testColumn('lease')
    const renew = (sequence: number, untilMs: number) => {
      const lease = column.lease({ sequence, untilMs })
      return columns.renew(column.slab, { signed: lease.signed, untilMs, sequence })
    }
    await expect(renew(2, UNTIL_MS + 1)).rejects.toMatchObject(refused(ChunkStatus.notHeld))
    await storeColumn(columns, column)
    await renew(5, UNTIL_MS + 5)
    await renew(5, UNTIL_MS + 5)
    expect(columns.get(column.slab)).toMatchObject({ untilMs: UNTIL_MS + 5, leaseSequence: 5 })
    expect(columns.lease(column.slab)).toEqual(
      plainSigned(column.lease({ sequence: 5, untilMs: UNTIL_MS + 5 }).signed),
    )
    for (const [sequence, untilMs] of [
      [4, UNTIL_MS + 9],
      [5, UNTIL_MS + 9],
    ] as const) {
      await expect(renew(sequence, untilMs)).rejects.toMatchObject(refused(ChunkStatus.conflict))
    }
    expect(columns.expired(UNTIL_MS + 5, 10)).toEqual([])
    expect(columns.expired(UNTIL_MS + 6, 10)).toMatchObject([{ column: 1 }])
  })
})

test('lists are by slab id and by group, in pages', async () => {
  await using home = await temporaryHome()
  await using opened = await openTestColumns(home.path)
  const { columns } = opened
  const [g1, g2] = [testColumn('g1').slab, testColumn('g2').slab]
  const all = Array.from({ length: 10 }, (_, index) =>
    testColumn(index, { group: index % 3 === 0 ? g1 : g2, untilMs: UNTIL_MS + index }),
  )
  for (const column of all) await storeColumn(columns, column)
  const ids = all.map(({ slab }) => Buffer.from(slab).toString('hex')).sort()
  const listed: string[] = []
  for (let page = columns.list({ limit: 4 }); page.length > 0; ) {
    listed.push(...page.map(({ slab }) => Buffer.from(slab).toString('hex')))
    const after = page.at(-1)?.slab
    page = after === undefined ? [] : columns.list({ after, limit: 4 })
  }
  expect(listed).toEqual(ids)
  expect(columns.ofGroup(g1)).toHaveLength(4)
  expect(columns.ofGroup(g2)).toHaveLength(6)
  const groups = [g1, g2].map((group) => Buffer.from(group).toString('hex')).sort()
  const [first] = columns.groups({ limit: 1 }) as [Uint8Array]
  const [second] = columns.groups({ after: first, limit: 5 }) as [Uint8Array]
  expect([first, second].map((group) => Buffer.from(group).toString('hex'))).toEqual(groups)
  expect(columns.groups({ after: second, limit: 5 })).toEqual([])
  expect(columns.expired(UNTIL_MS + 4, 3).map(({ untilMs }) => untilMs - UNTIL_MS)).toEqual([0, 1, 2])
})

test('what is under way ends with the store; afterwards everything is refused', async () => {
  await using home = await temporaryHome()
  const column = testColumn('closing')
  const opened = await openTestColumns(home.path)
  const draft = await beginDraft(opened.columns, column.open)
  await writePieces(draft, column.pieces)
  await opened.columns.close()
  await opened.columns.close()
  await expect(draft.commit(column.index)).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
  await expect(opened.columns.begin(column.open)).rejects.toMatchObject({ code: 'ERR_STORAGE_CLOSED' })
  expect(() => opened.columns.get(column.slab)).toThrow(
    expect.objectContaining({ code: 'ERR_STORAGE_CLOSED' }),
  )
  await opened.state.close()
  expect(await filesBelow(columnsLayout(home.path).rootPath)).toEqual([])
  expect(await readFile(join(home.path, 'state.db'))).toBeDefined()
})
