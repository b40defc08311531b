import Database from 'better-sqlite3'
import { CID } from 'multiformats/cid'
import { identity } from 'multiformats/hashes/identity'
import { expect, test } from 'vitest'
import { blocksLayout } from '../../../../src/storage/blocks/layout.ts'
import type { Writer } from '../../../../src/storage/blocks/writer.ts'
import { storageError } from '../../../../src/storage/errors.ts'
import { createPins, type PinSet } from '../../../../src/storage/pins/index.ts'
import type { Blocks } from '../../../../src/storage/types.ts'
import {
  openBlocks,
  silentLog,
  type TestBlock,
  temporaryHome,
  testBlock,
} from '../../../support/storage-blocks.ts'
import { asRaw, blockOf, cborNode, leaf, openPins, pbNode } from '../../../support/storage-pins.ts'

const never = (): AbortSignal => new AbortController().signal

function pin(pins: PinSet, { cid }: TestBlock, name = ''): ReturnType<PinSet['add']> {
  return pins.add(cid, { kind: 'recursive', name, signal: never() })
}

async function putAll(blocks: Blocks, all: readonly TestBlock[]): Promise<void> {
  await Promise.all(all.map(({ cid, bytes }) => blocks.put(cid, bytes)))
}

/** Whether the removal that is under way ends, or has ended. */
function goneOnce(pins: PinSet, { cid }: TestBlock): Promise<boolean> {
  return pins.remove(cid, { signal: never() }).then(
    () => true,
    (error: { code?: string }) => error.code === 'ERR_PIN_NOT_FOUND',
  )
}

/** A root over `width` nodes of `width` leaves each; the last block is the root. */
function tree(salt: string, width: number): TestBlock[] {
  const blocks: TestBlock[] = []
  const nodes: TestBlock[] = []
  for (let index = 0; index < width; index++) {
    const leaves = Array.from({ length: width }, (_, at) => leaf(`${salt} ${index} ${at}`))
    const node = pbNode(
      leaves.map(({ cid }) => cid),
      `${salt} ${index}`,
    )
    blocks.push(...leaves, node)
    nodes.push(node)
  }
  return [
    ...blocks,
    pbNode(
      nodes.map(({ cid }) => cid),
      salt,
    ),
  ]
}

function rootOf(blocks: readonly TestBlock[]): TestBlock {
  return blocks.at(-1) as TestBlock
}

test('a recursive pin covers its DAG, by name, until its last pin is removed', async () => {
  await using home = await temporaryHome()
  await using house = await openPins(home.path)
  const { pins, store } = house
  const blocks = tree('a', 12)
  const root = rootOf(blocks)
  await putAll(store, blocks)
  const progress: number[] = []
  const added = await pins.add(root.cid, {
    kind: 'recursive',
    name: 'one',
    signal: never(),
    onProgress: (done) => progress.push(done),
  })
  expect(added).toMatchObject({ name: 'one', kind: 'recursive', state: 'pinned' })
  expect(added.cid.equals(root.cid)).toBe(true)
  expect(progress.at(-1)).toBe(blocks.length)
  await pin(pins, root, 'two')
  await pin(pins, root, 'two')
  expect(pins.count()).toBe(2)
  expect(pins.state(root.cid)).toBe('recursive')
  expect(blocks.slice(0, -1).map(({ cid }) => pins.state(cid))).toEqual(
    Array(blocks.length - 1).fill('indirect'),
  )

  const removed = await pins.remove(root.cid, { name: 'one', signal: never() })
  expect(removed.map(({ name }) => name)).toEqual(['one'])
  expect(pins.state(root.cid)).toBe('recursive')
  await pins.remove(root.cid, { signal: never() })
  expect(new Set(blocks.map(({ cid }) => pins.state(cid)))).toEqual(new Set(['none']))
  await expect(pins.remove(root.cid, { signal: never() })).rejects.toMatchObject({
    code: 'ERR_PIN_NOT_FOUND',
  })
})

test('a direct pin covers one block, also one of a codec that nobody can walk', async () => {
  await using home = await temporaryHome()
  await using house = await openPins(home.path)
  const { pins, store } = house
  const child = leaf('child')
  const root = cborNode([child.cid])
  const foreign = blockOf(0x78, new TextEncoder().encode('a git object'))
  await putAll(store, [child, root, foreign])
  await pins.add(root.cid, { kind: 'direct', signal: never() })
  expect([root.cid, child.cid].map((cid) => pins.state(cid))).toEqual(['direct', 'none'])
  await pin(pins, root)
  expect(pins.state(root.cid)).toBe('recursive')
  await pins.remove(root.cid, { kind: 'recursive', signal: never() })
  expect(pins.state(root.cid)).toBe('direct')
  await expect(pin(pins, foreign)).rejects.toMatchObject({ code: 'ERR_PIN_UNWALKABLE' })
  await pins.add(foreign.cid, { kind: 'direct', signal: never() })
  expect(pins.state(foreign.cid)).toBe('direct')
})

test('CIDs of version 0 and 1 are one pin; a raw view of a node does not hold its children', async () => {
  await using home = await temporaryHome()
  await using house = await openPins(home.path)
  const { pins, store } = house
  const child = leaf('child')
  const root = pbNode([child.cid])
  await putAll(store, [child, root])
  const version0 = CID.createV0(root.cid.multihash as Parameters<typeof CID.createV0>[0])
  await pins.add(version0, { kind: 'recursive', signal: never() })
  expect(pins.state(root.cid)).toBe('recursive')
  await pins.add(asRaw(root.cid), { kind: 'recursive', signal: never() })
  await pins.remove(root.cid, { signal: never() })
  expect(pins.state(asRaw(root.cid))).toBe('recursive')
  expect(pins.state(child.cid)).toBe('none')
  await house.maintenance.collect({ signal: never() })
  expect(await store.hasMany([root.cid, child.cid])).toEqual([true, false])
})

test('links through dag-cbor, dag-json, large blocks and blocks inside CIDs are followed', async () => {
  await using home = await temporaryHome()
  await using house = await openPins(home.path)
  const { pins, store } = house
  const deepest = leaf('deepest')
  const inline = CID.createV1(0x71, identity.digest(cborNode([deepest.cid]).bytes))
  const large = cborNode([inline], new Uint8Array(100_000))
  const json = blockOf(0x0129, new TextEncoder().encode(`{"a":[{"b":{"/":"${large.cid.toString()}"}}]}`))
  await putAll(store, [deepest, large, json])
  await pin(pins, json)
  expect([large.cid, deepest.cid].map((cid) => pins.state(cid))).toEqual(['indirect', 'indirect'])
  await pins.remove(json.cid, { signal: never() })
  expect([large.cid, deepest.cid].map((cid) => pins.state(cid))).toEqual(['none', 'none'])
})

test('a DAG with a block missing is not pinned: the first missing CID is told, and nothing stays counted', async () => {
  await using home = await temporaryHome()
  await using house = await openPins(home.path)
  const { pins, store } = house
  const blocks = tree('b', 8)
  const missing = blocks[20] as TestBlock
  const held = blocks.filter((block) => block !== missing)
  await putAll(store, held)
  const shared = blocks[8] as TestBlock
  await pin(pins, shared)
  await expect(pin(pins, rootOf(blocks))).rejects.toMatchObject({
    code: 'ERR_PIN_INCOMPLETE',
    kind: 'not-found',
    details: { missing: missing.cid.toString() },
  })
  await expect(pin(pins, missing)).rejects.toMatchObject({ code: 'ERR_PIN_INCOMPLETE' })
  await store.put(missing.cid, missing.bytes)
  await pin(pins, rootOf(blocks))
  await pins.remove(rootOf(blocks).cid, { signal: never() })
  const states = blocks.map(({ cid }) => pins.state(cid))
  expect(states.slice(0, 8)).toEqual(Array(8).fill('indirect'))
  expect(states[8]).toBe('recursive')
  expect(new Set(states.slice(9))).toEqual(new Set(['none']))
})

test('a block that is not what its codec says makes a recursive pin fail', async () => {
  await using home = await temporaryHome()
  await using house = await openPins(home.path)
  const nested = new Uint8Array(200_000).fill(0x81)
  nested[nested.length - 1] = 0
  const garbage = blockOf(0x70, new TextEncoder().encode('not protobuf at all'))
  for (const block of [blockOf(0x71, nested), garbage, cborNode([garbage.cid])]) {
    await house.store.put(block.cid, block.bytes)
    await expect(pin(house.pins, block)).rejects.toMatchObject({
      code: 'ERR_PIN_UNWALKABLE',
      kind: 'verification',
    })
  }
  expect(house.pins.count()).toBe(0)
})

test('many pins at once, of trees with shared parts, come and go and leave nothing', async () => {
  await using home = await temporaryHome()
  await using house = await openPins(home.path)
  const { pins, store, maintenance } = house
  const common = tree('common', 10)
  const roots = Array.from({ length: 30 }, (_, index) =>
    cborNode([rootOf(common).cid, leaf(`own ${index}`).cid], index),
  )
  await putAll(store, [...common, ...roots, ...roots.map((_, index) => leaf(`own ${index}`))])
  await Promise.all(roots.map((root) => pin(pins, root)))
  await Promise.all(roots.slice(1).map(({ cid }) => pins.remove(cid, { signal: never() })))
  await maintenance.collect({ signal: never() })
  expect(await store.hasMany(common.map(({ cid }) => cid))).toEqual(Array(common.length).fill(true))
  expect(store.usage().blocks).toBe(common.length + 2)
  await pins.remove((roots[0] as TestBlock).cid, { signal: never() })
  await maintenance.collect({ signal: never() })
  expect(store.usage()).toMatchObject({ blocks: 0, blockBytes: 0 })
})

test('an aborted add is undone, unless another caller waits for the same pin', async () => {
  await using home = await temporaryHome()
  await using house = await openPins(home.path)
  const { pins, store } = house
  const first = tree('first', 60)
  const second = tree('second', 4)
  await putAll(store, [...first, ...second])
  const abort = new AbortController()
  const firstDone = pin(pins, rootOf(first))
  const given = pins.add(rootOf(second).cid, { kind: 'recursive', signal: abort.signal })
  const kept = pins.add(rootOf(first).cid, { kind: 'recursive', signal: abort.signal })
  const outcomes = Promise.allSettled([given, kept])
  abort.abort()
  expect((await outcomes).map((outcome) => outcome.status)).toEqual(['rejected', 'rejected'])
  await expect(given).rejects.toMatchObject({ code: 'ERR_CANCELLED', kind: 'cancelled' })
  await firstDone
  expect(pins.list().pins.map(({ cid }) => cid.toString())).toEqual([rootOf(first).cid.toString()])
  expect(pins.state(rootOf(second).cid)).toBe('none')
  await expect(
    pins.add(rootOf(second).cid, { kind: 'recursive', signal: AbortSignal.abort() }),
  ).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
})

test('an aborted remove goes on; a pin that is added again meanwhile is whole', async () => {
  await using home = await temporaryHome()
  await using house = await openPins(home.path)
  const { pins, store, maintenance } = house
  const blocks = tree('big', 45)
  await putAll(store, blocks)
  await pin(pins, rootOf(blocks))
  const abort = new AbortController()
  const removing = pins.remove(rootOf(blocks).cid, { signal: abort.signal })
  abort.abort()
  await expect(removing).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
  await pin(pins, rootOf(blocks))
  await maintenance.collect({ signal: never() })
  expect(store.usage().blocks).toBe(blocks.length)
  const again = new AbortController()
  const removingAgain = pins.remove(rootOf(blocks).cid, { signal: again.signal })
  again.abort()
  await expect(removingAgain).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
  // Whoever asks again waits for what is under way, or finds nothing.
  expect(await goneOnce(pins, rootOf(blocks))).toBe(true)
  expect(pins.count()).toBe(0)
  expect(blocks.every(({ cid }) => pins.state(cid) === 'none')).toBe(true)
})

test('removing a pin that is being added tells whoever waits for it', async () => {
  await using home = await temporaryHome()
  await using house = await openPins(home.path)
  const { pins, store } = house
  const blocks = tree('x', 60)
  const later = tree('y', 3)
  await putAll(store, [...blocks, ...later])
  const walking = pin(pins, rootOf(blocks))
  const waiting = pin(pins, rootOf(later))
  const outcomes = Promise.allSettled([walking, waiting])
  await Promise.all([rootOf(later), rootOf(blocks)].map(({ cid }) => pins.remove(cid, { signal: never() })))
  for (const outcome of await outcomes) {
    expect(outcome).toMatchObject({
      status: 'rejected',
      reason: { code: 'ERR_PIN_REMOVED', kind: 'conflict' },
    })
  }
  expect(pins.count()).toBe(0)
  expect([...blocks, ...later].every(({ cid }) => pins.state(cid) === 'none')).toBe(true)
})

test('what a closed store left half walked is finished when it is opened again', async () => {
  await using home = await temporaryHome()
  const added = tree('added', 45)
  const removed = tree('removed', 45)
  {
    await using house = await openPins(home.path)
    await putAll(house.store, [...added, ...removed])
    await pin(house.pins, rootOf(removed))
    const interrupted = Promise.allSettled([
      house.pins.remove(rootOf(removed).cid, { signal: never() }),
      pin(house.pins, rootOf(added)),
    ])
    await house.pins.resume()
    await house.pins.close()
    for (const outcome of await interrupted) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ERR_STORAGE_CLOSED' } })
    }
  }
  using db = new ReadDatabase(blocksLayout(home.path).databasePath)
  expect(db.work()).toBeGreaterThan(0)
  await using house = await openPins(home.path)
  // The same pin again waits for the walk that is under way.
  await pin(house.pins, rootOf(added))
  expect(await goneOnce(house.pins, rootOf(removed))).toBe(true)
  expect(added.map(({ cid }) => house.pins.state(cid)).filter((state) => state === 'none')).toEqual([])
  await house.maintenance.collect({ signal: never() })
  expect(house.store.usage().blocks).toBe(added.length)
})

class ReadDatabase implements Disposable {
  readonly #db: Database.Database

  constructor(path: string) {
    this.#db = new Database(path, { readonly: true })
  }

  /** Pins and entries that are not finished. */
  work(): number {
    return this.#db
      .prepare('SELECT (SELECT count(*) FROM ref_work) + (SELECT count(*) FROM pin WHERE state <> 2)')
      .pluck()
      .get() as number
  }

  [Symbol.dispose](): void {
    this.#db.close()
  }
}

test('a pin for whose counting there is no room is undone, and what was pinned before stays', async () => {
  await using home = await temporaryHome()
  await using opened = await openBlocks(home.path)
  const { store, writer } = opened
  let failures = 0
  const failing: Writer = {
    get figures() {
      return writer.figures
    },
    close: (options) => writer.close(options),
    call: (op, args, options) => {
      if (op !== 'pins.step' || failures === 0) return writer.call(op, args, options)
      failures--
      return Promise.reject(storageError('ERR_DISK_FULL', 'the disk is full'))
    },
  }
  const pins = createPins({ writer: failing, blocks: store, log: silentLog })
  const before = tree('before', 3)
  const after = tree('after', 3)
  await putAll(store, [...before, ...after])
  await pin(pins, rootOf(before))
  failures = 1
  await expect(pin(pins, rootOf(after))).rejects.toMatchObject({ code: 'ERR_DISK_FULL', kind: 'no-space' })
  await expect.poll(() => pins.count(), { timeout: 10_000 }).toBe(1)
  expect(after.map(({ cid }) => pins.state(cid))).toEqual(Array(after.length).fill('none'))
  expect(pins.state(rootOf(before).cid)).toBe('recursive')
  await pin(pins, rootOf(after))
  expect(pins.count()).toBe(2)
  await pins.close()
})

test('pins are listed by creation, in pages, by CID, name and kind', async () => {
  await using home = await temporaryHome()
  await using house = await openPins(home.path)
  const { pins, store } = house
  const blocks = Array.from({ length: 25 }, (_, index) => testBlock(index, 20))
  await putAll(store, blocks)
  for (const [index, { cid }] of blocks.entries()) {
    await pins.add(cid, {
      kind: index % 5 === 0 ? 'direct' : 'recursive',
      name: `n${index % 2}`,
      signal: never(),
    })
  }
  const pages: string[][] = []
  for (let afterId: number | null = 0; afterId !== null; ) {
    const page: ReturnType<PinSet['list']> = pins.list({ limit: 10, afterId })
    pages.push(page.pins.map(({ cid }) => cid.toString()))
    afterId = page.nextAfterId
  }
  expect(pages.map(({ length }) => length)).toEqual([10, 10, 5])
  expect(pages.flat()).toEqual(blocks.map(({ cid }) => cid.toString()))
  expect(pins.list({ kind: 'direct' }).pins).toHaveLength(5)
  expect(pins.list({ name: 'n1', kind: 'recursive' }).pins).toHaveLength(10)
  expect(pins.list({ cid: (blocks[3] as TestBlock).cid }).pins).toMatchObject([{ name: 'n1' }])
  expect(pins.list({ cid: (blocks[3] as TestBlock).cid, name: 'n0' }).pins).toEqual([])
  await expect(
    pins.add((blocks[0] as TestBlock).cid, { kind: 'direct', name: 'x'.repeat(1_025), signal: never() }),
  ).rejects.toMatchObject({ code: 'ERR_PIN_NAME', kind: 'usage' })
})
