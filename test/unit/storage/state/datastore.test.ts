import { join } from 'node:path'
import * as fc from 'fast-check'
import { Key } from 'interface-datastore'
import all from 'it-all'
import { expect, test } from 'vitest'
import { openState, type StateDatabase } from '../../../../src/storage/state/index.ts'
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

// The whole interface against a map: what is pending, what is stored and what is both must look the same.
test('it behaves as a map does, whatever is flushed when', async () => {
  await using folder = await temporaryFolder()
  await using state = await open(folder.path)
  const { datastore } = state
  const name = fc.array(fc.constantFrom('a', 'b', 'é', '%', '_', '\u{1F600}'), { minLength: 1, maxLength: 3 })
  const path = fc
    .array(name, { minLength: 1, maxLength: 2 })
    .map((names) => `/${names.map((n) => n.join('')).join('/')}`)
  const value = fc.uint8Array({ maxLength: 4 })
  const operation = fc.oneof(
    fc.record({ op: fc.constant('put' as const), path, value }),
    fc.record({ op: fc.constant('delete' as const), path }),
    fc.record({
      op: fc.constant('batch' as const),
      puts: fc.array(fc.tuple(path, value)),
      deletes: fc.array(path),
    }),
    fc.record({ op: fc.constant('flush' as const) }),
    fc.record({
      op: fc.constant('query' as const),
      prefix: path,
      offset: fc.nat(3),
      limit: fc.integer({ min: 1, max: 4 }),
    }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 40 }), async (operations) => {
      const model = new Map<string, Uint8Array>()
      state.db.exec('DELETE FROM datastore')
      for (const step of operations) {
        if (step.op === 'put') {
          model.set(step.path, step.value)
          await datastore.put(new Key(step.path), step.value)
        } else if (step.op === 'delete') {
          model.delete(step.path)
          await datastore.delete(new Key(step.path))
        } else if (step.op === 'batch') {
          const batch = datastore.batch()
          for (const [path, value] of step.puts) {
            model.set(path, value)
            batch.put(new Key(path), value)
          }
          for (const path of step.deletes) {
            model.delete(path)
            batch.delete(new Key(path))
          }
          await batch.commit()
        } else if (step.op === 'flush') {
          await datastore.flush()
        } else {
          const { prefix, offset, limit } = step
          const found = await all(
            datastore.query({
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
          expect(found.map(({ key, value }) => [key.toString(), value])).toEqual(expected)
        }
      }
      for (const [path, value] of model) expect(await datastore.get(new Key(path))).toEqual(value)
      const keys = (await all(datastore.queryKeys({}))).map((key) => key.toString())
      expect(new Set(keys)).toEqual(new Set(model.keys()))
      for (const path of model.keys()) await datastore.delete(new Key(path))
      await datastore.flush()
    }),
    { numRuns: 150 },
  )
})
