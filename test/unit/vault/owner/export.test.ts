import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ed25519Signer, slabIdOf } from '../../../../protocols/chunk/format/index.ts'
import { slabSeed } from '../../../../src/vault/codec/index.ts'
import { AtRest } from '../../../../src/vault/owner/at-rest.ts'
import { mergeDocument, readDocument, writeDocument } from '../../../../src/vault/owner/document.ts'
import {
  fromOwnerText,
  openExport,
  sealExport,
  toOwnerText,
} from '../../../../src/vault/owner/sealed-export.ts'
import { OwnerState } from '../../../../src/vault/owner/state.ts'
import { temporaryState } from '../../../support/vault-state.ts'

const LEASE_MS = 1_000_000

async function machine(secret: Uint8Array): Promise<OwnerState> {
  return new OwnerState(await temporaryState(), new AtRest(secret), 60_000)
}

function store(state: OwnerState, secret: Uint8Array, id: string): void {
  const salt = randomBytes(32)
  const slab = slabIdOf(ed25519Signer(slabSeed(secret, salt)).publicKey)
  const text = () => randomBytes(32).toString('base64')
  state.insertObject({
    id,
    name: `name of ${id}`,
    fileName: id,
    kind: 'file',
    readKey: text(),
    fileKey: text(),
    manifestSalt: salt.toString('base64'),
    redundancy: { k: 1, n: 2 },
    size: 5,
    sha256: null,
    mime: '',
    files: 1,
    state: 'stored',
    manifest: slab,
    createdMs: 5,
  })
  state.insertSlab({
    id: slab,
    object: id,
    position: -1,
    group: slab,
    state: 'stored',
    k: 1,
    n: 2,
    columnBytes: 9,
    indexHash: randomBytes(32),
    leaseUntilMs: 50,
    leaseSequence: 1,
    renewMs: 20,
    salt,
    modes: new Uint8Array(0),
  })
  state.addHolder(slab, 0, 'one')
}

const names = (state: OwnerState): string[] =>
  state
    .objects()
    .map(({ id }) => id)
    .sort()

describe('merging states', () => {
  it('is a union that deletes nothing but what was deleted', async () => {
    const secret = randomBytes(32)
    const [left, right] = [await machine(secret), await machine(secret)]
    for (const id of ['a', 'b']) store(left, secret, id)
    store(right, secret, 'c')
    const exchange = async (from: OwnerState, to: OwnerState): Promise<number> =>
      mergeDocument(to, secret, await readDocument(await writeDocument(from, secret)), LEASE_MS)
    expect(await exchange(left, right)).toBe(2)
    expect(await exchange(left, right)).toBe(0)
    expect(names(right)).toEqual(['a', 'b', 'c'])
    expect(names(left)).toEqual(['a', 'b'])
    left.noteDeleted('a', 1)
    left.removeObject('a')
    await exchange(left, right)
    expect(right.object('a')?.state).toBe('deleting')
    // What was deleted does not come back from a machine that had not heard of it.
    const late = await machine(secret)
    store(late, secret, 'd')
    late.noteDeleted('b', 1)
    expect(await exchange(left, late)).toBe(0)
    expect(names(late)).toEqual(['d'])
  })

  it('keeps the power over slabs of another owner, and over nothing else of theirs', async () => {
    const [secret, other] = [randomBytes(32), randomBytes(32)]
    const [theirs, mine] = [await machine(secret), await machine(other)]
    store(theirs, secret, 'a')
    await mergeDocument(mine, other, await readDocument(await writeDocument(theirs, secret)), LEASE_MS)
    const [slab] = mine.slabsOf('a')
    expect(slabIdOf(ed25519Signer(slab?.seed ?? new Uint8Array(32)).publicKey)).toEqual(
      Buffer.from(slab?.id ?? []),
    )
    expect(mine.columnsOf(slab?.id ?? new Uint8Array(0))).toMatchObject([{ column: 0, peer: 'one' }])
    // And passes it on.
    const third = await machine(randomBytes(32))
    expect(
      await mergeDocument(third, other, await readDocument(await writeDocument(mine, other)), LEASE_MS),
    ).toBe(1)
  })

  it('refuses a document whose keys do not fit', async () => {
    const secret = randomBytes(32)
    const [from, to] = [await machine(secret), await machine(secret)]
    store(from, secret, 'a')
    const document = await readDocument(await writeDocument(from, secret))
    for (const { slabs } of document.objects)
      for (const slab of slabs) slab.seed = randomBytes(32).toString('base64')
    await expect(mergeDocument(to, secret, document, LEASE_MS)).rejects.toMatchObject({
      code: 'ERR_OWNER_STATE_INVALID',
    })
    expect(names(to)).toEqual([])
  })
})

describe('exports', () => {
  const ownerSecret = randomBytes(32)
  const document = Buffer.from('["state",1]')

  it('open with what they were sealed with', async () => {
    const passphrase = 'caf\u00e9'
    const file = await sealExport(document, { passphrase })
    expect(await openExport(file, { passphrase: 'cafe\u0301', ownerSecret: randomBytes(32) })).toEqual(
      document,
    )
    const own = await sealExport(document, { ownerSecret })
    expect(await openExport(own, { passphrase: undefined, ownerSecret })).toEqual(document)
    const text = await toOwnerText(document)
    const bearer = fromOwnerText(Buffer.from(text))
    expect(await openExport(bearer, { passphrase: undefined, ownerSecret: randomBytes(32) })).toEqual(
      document,
    )
  }, 20_000)

  it('open with nothing else, nor altered anywhere', async () => {
    const file = Buffer.from(await sealExport(document, { ownerSecret }))
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const altered = Buffer.from(file)
        altered[at] = (altered[at] ?? 0) ^ flip
        await expect(openExport(altered, { passphrase: undefined, ownerSecret })).rejects.toMatchObject({
          code: expect.stringMatching(/^ERR_(OWNER_STATE_INVALID|PASSPHRASE_NEEDED)$/),
        })
      }),
      { numRuns: 60 },
    )
    for (const bytes of [
      Buffer.alloc(0),
      randomBytes(200),
      file.subarray(0, 60),
      Buffer.from('p2pnode-owner:!!'),
    ])
      await expect(
        openExport(fromOwnerText(bytes), { passphrase: undefined, ownerSecret }),
      ).rejects.toMatchObject({
        code: 'ERR_OWNER_STATE_INVALID',
      })
  })
})
