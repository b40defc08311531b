import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openState, type StateDatabase } from '../../../../src/storage/state/index.ts'
import { ProofStore } from '../../../../src/vault/health/proofs.ts'
import { AtRest } from '../../../../src/vault/owner/at-rest.ts'
import { type OwnerObject, OwnerState } from '../../../../src/vault/owner/state.ts'
import { quietLogger } from '../../../support/network.ts'

let home: string
let database: StateDatabase
const secret = randomBytes(32)

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'p2pnode-owner-'))
  database = await openState({ path: join(home, 'state.db'), log: quietLogger() })
})
afterEach(async () => {
  await database.close()
  await rm(home, { recursive: true, force: true })
})

function objectOf(id: string, name: string): Omit<OwnerObject, 'version'> {
  return {
    id,
    name,
    fileName: `${name}.txt`,
    kind: 'file',
    readKey: randomBytes(32).toString('base64'),
    fileKey: randomBytes(32).toString('base64'),
    manifestSalt: randomBytes(32).toString('base64'),
    redundancy: null,
    size: 0,
    sha256: null,
    mime: '',
    files: 1,
    state: 'putting',
    manifest: randomBytes(32),
    createdMs: 1_000,
  }
}

function slabOf(object: string, position: number, state: 'open' | 'stored' = 'open') {
  return {
    id: randomBytes(32),
    object,
    position,
    group: randomBytes(32),
    state,
    k: 2,
    n: 3,
    columnBytes: 10,
    indexHash: null,
    leaseUntilMs: 5_000 + position,
    leaseSequence: 1,
    renewMs: 1_000 + position,
    salt: randomBytes(32),
    modes: new Uint8Array(0),
  }
}

describe('OwnerState', () => {
  it('numbers the versions of a name', () => {
    const state = new OwnerState(database, new AtRest(secret), 60_000)
    state.insertObject(objectOf('a', 'holiday'))
    state.insertObject(objectOf('b', 'holiday'))
    state.insertObject(objectOf('c', 'work'))
    expect(state.object('a')?.version).toBe(1)
    expect(state.object('b')?.version).toBe(2)
    expect(state.object('c')?.version).toBe(1)
  })

  it('leaves neither names nor keys on the disk', async () => {
    const state = new OwnerState(database, new AtRest(secret), 60_000)
    const object = objectOf('a', 'an-unmistakable-name')
    state.insertObject(object)
    const slab = slabOf('a', 0)
    state.insertSlab(slab)
    for (const file of ['state.db', 'state.db-wal']) {
      const bytes = await readFile(join(home, file))
      expect(bytes.includes('unmistakable')).toBe(false)
      expect(bytes.includes(object.readKey)).toBe(false)
      expect(bytes.includes(Buffer.from(object.readKey, 'base64'))).toBe(false)
      expect(bytes.includes(slab.salt)).toBe(false)
    }
  })

  it('opens with the key that sealed it and no other', () => {
    const object = objectOf('a', 'name')
    new OwnerState(database, new AtRest(secret), 60_000).insertObject(object)
    expect(new OwnerState(database, new AtRest(secret), 60_000).object('a')).toMatchObject({
      ...object,
      version: 1,
    })
    expect(() => new OwnerState(database, new AtRest(randomBytes(32)), 60_000).object('a')).toThrow(
      expect.objectContaining({ code: 'ERR_OWNER_STATE_UNREADABLE' }),
    )
  })

  it('does not open a value that was moved to another row', () => {
    const state = new OwnerState(database, new AtRest(secret), 60_000)
    state.insertObject(objectOf('a', 'one'))
    state.insertObject(objectOf('b', 'two'))
    database.db.exec(
      `UPDATE owner_object SET sealed = (SELECT sealed FROM owner_object WHERE id = 'a') WHERE id = 'b'`,
    )
    expect(() => state.object('b')).toThrow(expect.objectContaining({ code: 'ERR_OWNER_STATE_UNREADABLE' }))
  })

  it('abandons what an attempt left behind, and only that', () => {
    const state = new OwnerState(database, new AtRest(secret), 60_000)
    const done = slabOf('a', 0, 'stored')
    const open = slabOf('a', 1)
    const manifest = slabOf('a', -1)
    const other = slabOf('b', 5)
    for (const slab of [done, open, manifest, other]) state.insertSlab(slab)
    state.abandonFrom('a', 1)
    expect(state.slab(done.id)?.state).toBe('stored')
    expect(state.slab(open.id)?.state).toBe('abandoned')
    expect(state.slab(manifest.id)?.state).toBe('open')
    expect(state.slab(other.id)?.state).toBe('open')
    expect(state.slabsInState('abandoned').map(({ position }) => position)).toEqual([1])
    expect([...state.allSlabsOf('a')].map(({ position }) => position)).toEqual([-1, 0])
  })

  it('counts what is stored, with whom, and what is missing', () => {
    const state = new OwnerState(database, new AtRest(secret), 60_000)
    const slab = slabOf('a', 0, 'stored')
    state.insertSlab(slab)
    const signed = { payload: randomBytes(4), signature: randomBytes(64) }
    const receipt = (column: number) => ({
      slab: slab.id,
      column,
      indexHash: randomBytes(32),
      untilMs: 7,
      atMs: 1,
      signed,
    })
    state.insertColumn(slab.id, 0, 'one')
    state.insertColumn(slab.id, 1, 'two')
    state.setReceipt(receipt(0), 'one')
    state.setReceipt(receipt(1), 'three')
    expect(state.usageOf('a')).toEqual({ stored: 20, holders: 2, missing: 1 })
    expect(state.degradedSlabCount()).toBe(1)
    state.setGone(slab.id, 'three')
    expect(state.usageOf('a')).toEqual({ stored: 10, holders: 1, missing: 2 })
    // Whoever says that it holds a column is told of leases and deletions, and counts once it has proven it, and lately.
    state.addClaim(slab.id, 2, 'liar')
    state.addClaim(slab.id, 0, 'one')
    expect(state.usageOf('a')).toEqual({ stored: 10, holders: 1, missing: 2 })
    const proofs = new ProofStore(database)
    proofs.write([{ slab: slab.id, column: 2, peer: 'liar', provenMs: Date.now() - 120_000 }])
    expect(state.degradedSlabCount()).toBe(1)
    expect(state.usageOf('a')).toMatchObject({ missing: 2 })
    proofs.write([{ slab: slab.id, column: 2, peer: 'liar', provenMs: Date.now() }])
    expect(state.usageOf('a')).toEqual({ stored: 20, holders: 2, missing: 1 })
    proofs.write([{ slab: slab.id, column: 2, peer: 'liar', provenMs: null }])
    expect(state.columnsOf(slab.id).filter(({ counts }) => counts)).toMatchObject([
      { column: 0, peer: 'one' },
    ])
    expect(state.columnsOf(slab.id).map(({ peer, gone }) => [peer, gone])).toEqual([
      ['one', false],
      ['three', true],
      ['two', false],
      ['liar', false],
    ])
  })

  it('finds what is due for renewal and what expires first', () => {
    const state = new OwnerState(database, new AtRest(secret), 60_000)
    expect(state.nextRenewalMs()).toBeUndefined()
    for (const position of [0, 1, 2]) state.insertSlab(slabOf('a', position, 'stored'))
    expect(state.due(1_001).map(({ position }) => position)).toEqual([0, 1])
    expect(state.nextRenewalMs()).toBe(1_000)
    expect(state.soonestExpiryMs()).toBe(5_000)
    expect(state.soonestExpiryMs('a')).toBe(5_000)
    expect(state.soonestExpiryMs('b')).toBeNull()
  })
})
