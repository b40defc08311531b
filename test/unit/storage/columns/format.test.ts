import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import {
  ed25519Signer,
  pieceRoot,
  signIndex,
  signLease,
  slabIdOf,
} from '../../../../protocols/chunk/format/index.ts'
import { decodeTail, HEADER_BYTES, maxFileBytes } from '../../../../src/storage/columns/column-file.ts'
import { columnsLayout, parseColumnName } from '../../../../src/storage/columns/layout.ts'
import { beginDraft, openTestColumns, testColumn, writePieces } from '../../../support/columns.ts'
import { temporaryHome } from '../../../support/storage-blocks.ts'

const page = await readFile(new URL('../../../../docs/column-format.md', import.meta.url), 'utf8')

function vector(name: string): Buffer {
  const hex = new RegExp(`\`\`\`hex ${name}\n([0-9a-f\n]*)\`\`\``).exec(page)?.[1] ?? ''
  return Buffer.from(hex.replaceAll('\n', ''), 'hex')
}

test('a column that is stored is the file of docs/column-format.md, byte for byte', async () => {
  const signer = ed25519Signer(Uint8Array.from({ length: 32 }, (_, index) => index))
  const slab = slabIdOf(signer.publicKey)
  const pieces = ['0a', '1a', '0b', '1b'].map((text) => Buffer.from(text))
  const fields = { group: slab, k: 1, n: 2, sealedBytes: [2, 2], roots: pieces.map(pieceRoot) }
  const index = signIndex(signer, 'main', fields)
  const lease = signLease(signer, 'main', { untilMs: 2_000_000_000_000, sequence: 1 })

  await using home = await temporaryHome()
  await using opened = await openTestColumns(home.path)
  const draft = await beginDraft(opened.columns, {
    slab,
    publicKey: signer.publicKey,
    group: slab,
    column: 1,
    k: 1,
    n: 2,
    maxColumnBytes: 4,
    untilMs: lease.untilMs,
    lease: lease.signed,
    leaseSequence: 1,
    purse: { kind: 'repair' },
  })
  await writePieces(draft, [pieces[1] as Buffer, pieces[3] as Buffer])
  await draft.commit(index)

  const parts = ['header', 'pieces', 'index', 'trailer'].map(vector)
  expect(parts.map(({ length }) => length)).toEqual([48, 4, 276, 16])
  const name = /Its name: `HOME\/(.*)`/.exec(page)?.[1] ?? ''
  const path = join(home.path, name)
  expect(path).toBe(columnsLayout(home.path).filePath(slab))
  expect(await readFile(path)).toEqual(Buffer.concat(parts))

  // And it is read from what the page says alone.
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, Buffer.concat(parts))
  expect(await opened.columns.scrub({ signal: new AbortController().signal })).toEqual({
    checkedColumns: 1,
    rottenColumns: 0,
  })
})

test('a tail that is not whole, or belongs elsewhere, is no index', () => {
  const tail = Buffer.concat([vector('index'), vector('trailer')])
  expect(decodeTail(tail, 4)).toBeDefined()
  expect(decodeTail(tail, 5)).toBeUndefined()
  expect(decodeTail(tail.subarray(1), 4)).toBeUndefined()
  expect(decodeTail(tail.subarray(0, -1), 4)).toBeUndefined()
  expect(decodeTail(new Uint8Array(3), 4)).toBeUndefined()
})

test('only names that the store makes stand for columns', () => {
  const { slab } = testColumn('name')
  const name = columnsLayout('/').filePath(slab).slice('/columns/xx/'.length)
  expect(parseColumnName(name)).toEqual(Uint8Array.from(slab))
  for (const other of [name.toUpperCase(), `${name}a`, name.slice(1), 'README', '..', '']) {
    expect(parseColumnName(other)).toBeUndefined()
  }
})

test('what is reserved holds the largest index', () => {
  const { index } = testColumn('largest', {
    k: 1,
    n: 64,
    sealedBytes: Array.from({ length: 64 }, () => 1_000),
  })
  const fileBytes = HEADER_BYTES + 64_000 + index.signed.payload.length + 64 + 16 + 16
  expect(maxFileBytes(64_000, 64)).toBeGreaterThanOrEqual(fileBytes)
})
