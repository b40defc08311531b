import assert from 'node:assert/strict'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { Key } from 'interface-datastore'
import all from 'it-all'
import { expect, test } from 'vitest'
import { openState, type StateDatabase, type StateDatastore } from '../../../../src/storage/state/index.ts'
import { memoryLogger, temporaryFolder } from '../../../support/jobs.ts'

async function open(folder: string): Promise<StateDatabase & AsyncDisposable> {
  const state = await openState({ path: join(folder, 'state.db'), log: memoryLogger() })
  return Object.assign(state, { [Symbol.asyncDispose]: () => state.close() })
}

const bytes = (...values: number[]) => new Uint8Array(values)
const stored = (state: StateDatabase) => state.db.prepare('SELECT count(*) FROM datastore').pluck().get()

test('reads see what waits, and what waits is written within a second', async () => {
  await using folder = await temporaryFolder()
  await using state = await open(folder.path)
  const { datastore } = state
  const key = new Key('/peers/a')
  expect(() => datastore.get(key)).toThrow(
    expect.objectContaining({ name: 'NotFoundError', code: 'ERR_NOT_FOUND' }),
  )
  const value = bytes(1, 2)
  await datastore.put(key, value)
  value[0] = 9
  expect(await datastore.get(key)).toEqual(bytes(1, 2))
  expect(await datastore.has(key)).toBe(true)
  expect(stored(state)).toBe(0)
  await expect.poll(() => stored(state), { timeout: 3_000 }).toBe(1)
  const read = await datastore.get(key)
  expect(read.constructor).toBe(Uint8Array)
  expect(read).toEqual(bytes(1, 2))
  await datastore.delete(key)
  expect(await datastore.has(key)).toBe(false)
  expect(() => datastore.get(key)).toThrow('nothing under /peers/a')
  await datastore.flush()
  expect(stored(state)).toBe(0)
})

test('close writes what waits, and nothing is taken after it', async () => {
  await using folder = await temporaryFolder()
  const key = new Key('/a')
  {
    await using state = await open(folder.path)
    await state.datastore.put(key, bytes(1))
  }
  await using state = await open(folder.path)
  expect(await state.datastore.get(key)).toEqual(bytes(1))
  await state.datastore.close()
  await state.datastore.close()
  expect(() => state.datastore.put(key, bytes(2))).toThrow(
    expect.objectContaining({ code: 'ERR_STATE_CLOSED' }),
  )
  await expect(all(state.datastore.query({}))).rejects.toMatchObject({ code: 'ERR_STATE_CLOSED' })
})

test('what waits is bounded in number and in bytes', async () => {
  await using folder = await temporaryFolder()
  await using state = await open(folder.path)
  for (let n = 0; n < 4_097; n++) await state.datastore.put(new Key(`/n/${n}`), bytes(n % 256))
  expect(stored(state)).toBe(4_096)
  await state.datastore.flush()
  for (let n = 0; n < 5; n++) await state.datastore.put(new Key(`/large/${n}`), new Uint8Array(1024 * 1024))
  expect(stored(state)).toBe(4_097 + 4)
  // Overwriting the same key again and again takes the room of one.
  await state.datastore.flush()
  for (let n = 0; n < 20; n++)
    await state.datastore.put(new Key('/large/0'), new Uint8Array(1024 * 1024).fill(n))
  expect(
    state.db.prepare("SELECT substr(value, 1, 1) FROM datastore WHERE key = '/large/0'").pluck().get(),
  ).toEqual(Buffer.from([0]))
})

test('on a full disk what waits goes on waiting, up to its bound', async () => {
  await using folder = await temporaryFolder()
  await using state = await open(folder.path)
  const { datastore, db } = state
  db.pragma(`max_page_count = ${db.pragma('page_count', { simple: true }) as number}`)
  const large = (n: number) => [new Key(`/large/${n}`), new Uint8Array(1024 * 1024).fill(n)] as const
  for (let n = 0; n < 4; n++) await datastore.put(...large(n))
  await expect(datastore.flush()).rejects.toMatchObject({ code: 'ERR_DISK_FULL' })
  expect(() => datastore.put(...large(4))).toThrow(expect.objectContaining({ code: 'ERR_DISK_FULL' }))
  expect(await datastore.get(new Key('/large/3'))).toEqual(large(3)[1])
  expect(await datastore.has(new Key('/large/4'))).toBe(false)
  db.pragma('max_page_count = 1000000')
  await datastore.put(...large(4))
  await datastore.flush()
  expect(stored(state)).toBe(5)
})

test('a query may be long, and its reader may write meanwhile', async () => {
  await using folder = await temporaryFolder()
  await using state = await open(folder.path)
  const { datastore } = state
  for (let n = 0; n < 1_000; n++) await datastore.put(new Key(`/p/${String(n).padStart(4, '0')}`), bytes(1))
  const seen: string[] = []
  for await (const key of datastore.queryKeys({ prefix: '/p/' })) {
    seen.push(key.toString())
    await datastore.delete(key)
    if (seen.length === 1) await datastore.delete(new Key('/p/0005'))
  }
  expect(seen.length).toBe(999)
  expect(seen).toEqual([...seen].sort())
  expect(await all(datastore.query({}))).toEqual([])
  const aborted = AbortSignal.abort(new Error('enough'))
  await expect(all(datastore.query({}, { signal: aborted }))).rejects.toThrow('enough')
  expect(() => datastore.get(new Key('/a'), { signal: aborted })).toThrow('enough')
})

const name = fc.array(fc.constantFrom('a', 'b', 'é', '%', '_', '\u{1F600}'), { minLength: 1, maxLength: 3 })
const path = fc
  .array(name, { minLength: 1, maxLength: 2 })
  .map((names) => `/${names.map((characters) => characters.join('')).join('/')}`)
const value = fc.uint8Array({ maxLength: 4 })

/** One operation, done to the store and to the map that it is to agree with. */
type Step = (store: StateDatastore, model: Map<string, Uint8Array>) => Promise<void>

const put = fc.tuple(path, value).map(
  ([path, value]): Step =>
    async (store, model) => {
      model.set(path, value)
      await store.put(new Key(path), value)
    },
)

const remove = path.map(
  (path): Step =>
    async (store, model) => {
      model.delete(path)
      await store.delete(new Key(path))
    },
)

const batch = fc.tuple(fc.array(fc.tuple(path, value)), fc.array(path)).map(
  ([puts, deletes]): Step =>
    async (store, model) => {
      const batch = store.batch()
      for (const [path, value] of puts) {
        model.set(path, value)
        batch.put(new Key(path), value)
      }
      for (const path of deletes) {
        model.delete(path)
        batch.delete(new Key(path))
      }
      await batch.commit()
    },
)

const flush = fc.constant<Step>((store) => store.flush())

const query = fc.tuple(path, fc.nat(3), fc.integer({ min: 1, max: 4 })).map(
  ([prefix, offset, limit]): Step =>
    async (store, model) => {
      const found = await all(
        store.query({
          prefix,
          offset,
          limit,
          filters: [({ value }) => value.length !== 2],
          orders: [(a, b) => (a.key.toString() < b.key.toString() ? 1 : -1)],
        }),
      )
      const expected = [...model]
        .filter(([path, value]) => path.startsWith(prefix) && value.length !== 2)
        .sort(([a], [b]) => (a < b ? 1 : -1))
        .slice(offset, offset + limit)
      assert.deepEqual(
        found.map(({ key, value }) => [key.toString(), value]),
        expected,
      )
    },
)

// The whole interface: what is pending, what is stored and what is both must look the same.
test('it behaves as a map does, whatever is flushed when', async () => {
  await using folder = await temporaryFolder()
  await using state = await open(folder.path)
  const { datastore } = state
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(put, remove, batch, flush, query), { maxLength: 40 }),
      async (steps) => {
        const model = new Map<string, Uint8Array>()
        for (const step of steps) await step(datastore, model)
        for (const [path, value] of model) expect(await datastore.get(new Key(path))).toEqual(value)
        const keys = (await all(datastore.queryKeys({}))).map((key) => key.toString())
        expect(new Set(keys)).toEqual(new Set(model.keys()))
        for (const path of model.keys()) await datastore.delete(new Key(path))
      },
    ),
    { numRuns: 150 },
  )
})
