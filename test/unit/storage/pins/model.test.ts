import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { keyOf } from '../../../../src/storage/blocks/hashes.ts'
import type { CollectStepReply } from '../../../../src/storage/maintenance/operations.ts'
import {
  KIND_DIRECT,
  KIND_RECURSIVE,
  STATE_PINNED,
  STATE_UNPINNING,
} from '../../../../src/storage/pins/states.ts'
import type { TestBlock } from '../../../support/storage-blocks.ts'
import { PinHouse } from '../../../support/storage-pin-house.ts'
import { asRaw, cborNode, leaf, pbNode } from '../../../support/storage-pins.ts'

/*
 * The operations of the writer thread against a count from scratch: random DAGs with shared parts, pins that come, go,
 * are given up and crash at every step of the walk, blocks that are lost and healed, collections in between.
 */

/** Each node's links, as indexes of nodes before it; a negative number links to that node's bytes as a raw block. */
type Shape = { links: number[]; pb: boolean }[]

function build(shape: Shape): TestBlock[] {
  const nodes: TestBlock[] = []
  for (const [index, { links, pb }] of shape.entries()) {
    const children = links
      .filter((link) => Math.abs(link) < index)
      .map((link) => {
        const { cid } = nodes[Math.abs(link)] as TestBlock
        return link < 0 ? asRaw(cid) : cid
      })
    if (children.length === 0) nodes.push(leaf(`leaf ${index}`))
    else nodes.push(pb ? pbNode(children, String(index)) : cborNode(children, index))
  }
  return nodes
}

/** Mostly nodes with links to the nodes just before them, so that DAGs are deep and share much. */
const shapes = fc
  .array(
    fc.record({
      links: fc.array(fc.record({ back: fc.integer({ min: 1, max: 5 }), raw: fc.nat({ max: 5 }) }), {
        minLength: 1,
        maxLength: 5,
        size: 'max',
      }),
      pb: fc.boolean(),
    }),
    { minLength: 4, maxLength: 12, size: 'max' },
  )
  .map(
    (nodes): Shape =>
      nodes.map(({ links, pb }, index) => ({
        pb,
        links:
          index < 2 ? [] : links.map(({ back, raw }) => Math.max(0, index - back) * (raw === 0 ? -1 : 1)),
      })),
  )

type Command =
  | { type: 'add'; node: number; name: string; kind: number }
  | { type: 'remove'; node: number; name: string | null; kind: number | null }
  | { type: 'cancel'; pin: number }
  | { type: 'step'; budget: number; failing: boolean }
  | { type: 'crash' }
  | { type: 'lose'; node: number }
  | { type: 'heal'; node: number }
  | { type: 'collect' }

const nodeIndex = fc.nat({ max: 11 })
const commands = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        type: fc.constant('add' as const),
        node: nodeIndex,
        name: fc.constantFrom('', 'a'),
        kind: fc.constantFrom(KIND_RECURSIVE, KIND_RECURSIVE, KIND_RECURSIVE, KIND_DIRECT),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        type: fc.constant('remove' as const),
        node: nodeIndex,
        name: fc.constantFrom(null, '', 'a'),
        kind: fc.constantFrom(null, KIND_DIRECT, KIND_RECURSIVE),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant('cancel' as const), pin: fc.integer({ min: 1, max: 6 }) }),
    },
    {
      weight: 10,
      arbitrary: fc.record({
        type: fc.constant('step' as const),
        budget: fc.integer({ min: 2, max: 40 }),
        failing: fc.nat({ max: 7 }).map((value) => value === 0),
      }),
    },
    { weight: 2, arbitrary: fc.constant({ type: 'crash' as const }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('lose' as const), node: nodeIndex }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('heal' as const), node: nodeIndex }) },
    { weight: 1, arbitrary: fc.constant({ type: 'collect' as const }) },
  ),
  { minLength: 1, maxLength: 60, size: 'max' },
)

let house: PinHouse | undefined
afterEach(() => {
  house?.close()
  house = undefined
})

function run(shape: Shape, commands: Command[]): void {
  house?.close()
  const current = new PinHouse(build(shape))
  house = current
  const lost = new Set<string>()
  const nodeAt = (index: number): TestBlock => current.nodes[index % current.nodes.length] as TestBlock
  for (const command of commands) {
    switch (command.type) {
      case 'add': {
        const { cid } = nodeAt(command.node)
        const args = { cid: cid.bytes, name: command.name, kind: command.kind, nowMs: 1 }
        const existing = current
          .pins()
          .some(
            (pin) =>
              pin.name === args.name &&
              pin.kind === args.kind &&
              keyOf(pin.cid) === keyOf(cid.bytes) &&
              pin.state !== STATE_UNPINNING,
          )
        if (!existing && !current.held(cid.multihash.bytes)) {
          assert.throws(() => current.call('pins.add', args), { code: 'ERR_PIN_INCOMPLETE' })
        } else current.call('pins.add', args)
        break
      }
      case 'remove': {
        const { cid } = nodeAt(command.node)
        current.call('pins.remove', { cid: cid.bytes, name: command.name, kind: command.kind })
        break
      }
      case 'cancel':
        current.call('pins.cancel', { id: command.pin })
        break
      case 'step':
        current.setBudget(command.budget)
        if (command.failing) current.failing(() => current.step())
        else assert.equal(current.step().anomalies, 0)
        break
      case 'crash':
        current.crash()
        break
      case 'lose':
        if (!current.held(nodeAt(command.node).cid.multihash.bytes)) break
        current.lose(nodeAt(command.node))
        lost.add(keyOf(nodeAt(command.node).cid.multihash.bytes))
        break
      case 'heal':
        current.put(nodeAt(command.node))
        lost.delete(keyOf(nodeAt(command.node).cid.multihash.bytes))
        break
      case 'collect': {
        const { state, removed } = current.call<CollectStepReply>('maintenance.collect', {
          horizon: 1_000_000,
        })
        assert(state !== 'paused' || removed.length === 0)
        for (const { mh } of removed) lost.delete(keyOf(mh))
        current.expectPinnedHeld(lost)
        break
      }
    }
    current.expectInvariant()
  }
  current.settle()
  current.expectInvariant()
  assert(current.pins().every((pin) => pin.state === STATE_PINNED))
  // What could not be uncounted because it was lost goes on once it is healed.
  for (const node of current.nodes) current.put(node)
  current.settle()
  current.expectInvariant()
  current.expectFromScratch()
  for (const pin of current.pins()) {
    current.call('pins.remove', { cid: pin.cid, name: null, kind: null })
  }
  current.settle()
  assert.deepEqual(current.pins(), [])
  assert.equal(current.db.prepare('SELECT count(*) FROM ref').pluck().get(), 0)
  assert.equal(current.db.prepare('SELECT count(*) FROM ref_work').pluck().get(), 0)
  for (let last = ''; last !== 'done'; ) {
    last = current.call<CollectStepReply>('maintenance.collect', { horizon: 1_000_000 }).state
  }
  assert.equal(current.db.prepare('SELECT count(*) FROM block').pluck().get(), 0)
}

test('counts equal a count from scratch, whatever comes between', () => {
  const outcome = fc.check(fc.property(shapes, commands, run), { numRuns: 80 })
  expect(outcome.failed, fc.defaultReportMessage(outcome)).toBe(false)
})

test('the order of pins that loses blocks elsewhere keeps them: pin A, pin B, unpin A, pin A again, unpin B, collect', () => {
  const shape: Shape = [
    { links: [], pb: false },
    { links: [], pb: false },
    { links: [0, 1], pb: false },
    { links: [2, 0], pb: true },
    { links: [2, 1], pb: true },
  ]
  house = new PinHouse(build(shape))
  const current = house
  const [a, b] = [3, 4].map((index) => current.nodes[index] as TestBlock) as [TestBlock, TestBlock]
  const add = ({ cid }: TestBlock) => {
    current.call('pins.add', { cid: cid.bytes, name: '', kind: KIND_RECURSIVE, nowMs: 1 })
    current.settle()
  }
  const remove = ({ cid }: TestBlock) => {
    current.call('pins.remove', { cid: cid.bytes, name: null, kind: null })
    current.settle()
  }
  add(a)
  add(b)
  remove(a)
  add(a)
  remove(b)
  while (current.call<CollectStepReply>('maintenance.collect', { horizon: 1_000_000 }).state !== 'done');
  current.expectFromScratch()
  for (const cid of current.dag(a.cid).values()) expect(current.held(cid.multihash.bytes)).toBe(true)
  expect(current.held(b.cid.multihash.bytes)).toBe(false)
})

test('a DAG that a damaged block keeps half counted does not pass for whole, and is freed once the block is healed', () => {
  // 5 is a root over 4, 3, 2 in a row; 2 links to the leaves 0 and 1. 6 is another root over 3.
  const shape: Shape = [[], [], [0, 1], [2], [3], [4], [3]].map((links) => ({ links, pb: false }))
  const current = new PinHouse(build(shape))
  house = current
  const node = (index: number): TestBlock => current.nodes[index] as TestBlock
  const add = (index: number): void => {
    current.call('pins.add', { cid: node(index).cid.bytes, name: '', kind: KIND_RECURSIVE, nowMs: 1 })
  }
  const entryOf = (index: number): unknown => current.entry(node(index).cid)

  current.lose(node(1))
  add(5)
  current.setBudget(4)
  let failed = false
  while (!failed) failed = current.step().events.some(({ type }) => type === 'failed')
  current.lose(node(4))
  // The links of node 4 are in memory no more, so that it cannot be uncounted.
  current.crash()
  current.settle()
  expect(entryOf(4)).toEqual({ delta: 0, applied: expect.any(Number) as number })
  expect(entryOf(2)).toEqual({ delta: 0, applied: 1 })
  expect(current.pins()).toEqual([])

  // Node 3 is counted, all its links are, and still block 1 is not held: only reading through the DAG tells.
  add(6)
  current.settle()
  expect(current.pins()).toEqual([])

  current.put(node(1))
  add(6)
  current.settle()
  expect(current.pins()).toMatchObject([{ state: STATE_PINNED }])
  expect(entryOf(2)).toBeUndefined()
  current.expectInvariant()

  current.put(node(4))
  current.settle()
  current.expectFromScratch()
})
