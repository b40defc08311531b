import { copyFile, cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type OpenedBlocks, openBlocks, temporaryHome, testBlock } from '../../../support/storage-blocks.ts'

/** Sizes around the threshold between the database and files. */
const SIZES = [900, 16 * 1024, 16 * 1024 + 1, 60_000]
const BLOCKS = [
  testBlock('empty', 0),
  ...SIZES.flatMap((size) => [0, 1, 2].map((copy) => testBlock(`${size} ${copy}`, size))),
]

const index = fc.nat({ max: BLOCKS.length - 1 })
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('put' as const), block: index }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('putAll' as const),
      blocks: fc.array(index, { maxLength: 12 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('get' as const), block: index }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('has' as const), block: index }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('abort' as const), block: index }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('reopen' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('crash' as const), block: index }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** The home as `kill -9` at this moment leaves it. The log is far from a checkpoint, so that copying file by file is sound. */
async function crashCopy(home: string, target: string): Promise<void> {
  await mkdir(target)
  await copyFile(join(home, 'blocks.db'), join(target, 'blocks.db'))
  await copyFile(join(home, 'blocks.db-wal'), join(target, 'blocks.db-wal'))
  // Files after rows: a row that was copied has its file.
  await cp(join(home, 'blocks'), join(target, 'blocks'), { recursive: true, force: true }).catch(() => {
    // A file in tmp that was renamed while the folder was being copied; those in place are copied by the second go.
    return cp(join(home, 'blocks'), join(target, 'blocks'), { recursive: true, force: true })
  })
}

/** Runs the steps against the store and against a set of what must be held; returns what was otherwise than it must be. */
async function run(steps: Step[], root: string, memoryBytes: number): Promise<string[]> {
  const wrong: string[] = []
  let home = join(root, 'home 0')
  await mkdir(home)
  let opened: OpenedBlocks = await openBlocks(home, { memoryBytes })
  const held = new Set<number>()
  /** Puts that were given up or cut off: they may have been done. */
  const perhaps = new Set<number>()
  let homes = 1
  const block = (index: number) => BLOCKS[index] as (typeof BLOCKS)[number]
  const check = (index: number, bytes: Uint8Array | undefined): void => {
    if (bytes === undefined) {
      if (held.has(index)) wrong.push(`block ${index} is lost`)
    } else if (!held.has(index) && !perhaps.has(index)) wrong.push(`block ${index} was never put`)
    else if (!Buffer.from(bytes).equals(block(index).bytes)) wrong.push(`block ${index} has other bytes`)
  }

  try {
    for (const step of steps) {
      switch (step.type) {
        case 'put':
          await opened.store.put(block(step.block).cid, block(step.block).bytes)
          held.add(step.block)
          break
        case 'putAll':
          await Promise.all(
            step.blocks.map((index) => opened.store.put(block(index).cid, block(index).bytes)),
          )
          for (const index of step.blocks) held.add(index)
          break
        case 'abort': {
          const abort = new AbortController()
          const { cid, bytes } = block(step.block)
          const put = opened.store.put(cid, bytes, { signal: abort.signal })
          queueMicrotask(() => abort.abort())
          await put.then(
            () => held.add(step.block),
            () => perhaps.add(step.block),
          )
          break
        }
        case 'get':
          check(step.block, await opened.store.get(block(step.block).cid))
          break
        case 'has': {
          const has = await opened.store.has(block(step.block).cid)
          if (!perhaps.has(step.block) && has !== held.has(step.block))
            wrong.push(`has ${step.block}: ${has}`)
          break
        }
        case 'reopen':
          await opened.store.close()
          opened = await openBlocks(home, { memoryBytes })
          break
        case 'crash': {
          const { cid, bytes } = block(step.block)
          const cutOff = opened.store.put(cid, bytes)
          const next = join(root, `home ${homes++}`)
          await crashCopy(home, next)
          await cutOff
          await opened.store.close()
          if (!held.has(step.block)) perhaps.add(step.block)
          home = next
          opened = await openBlocks(home, { memoryBytes })
          break
        }
      }
    }
    for (const index of BLOCKS.keys()) check(index, await opened.store.get(block(index).cid))
    const { blocks, quarantined } = opened.store.usage()
    if (blocks < held.size || blocks > held.union(perhaps).size) wrong.push(`${blocks} blocks are counted`)
    if (quarantined > 0 || opened.rotten.length > 0) wrong.push('blocks were found rotten')
    return wrong
  } finally {
    await opened.store.close()
  }
}

test.each([0, 100_000])(
  'any sequence of steps does what a map would, with %i bytes of memory',
  async (memoryBytes) => {
    const sequences = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 50 }), async (steps) => {
      await using root = await temporaryHome()
      expect(await run(steps, root.path, memoryBytes)).toEqual([])
    })
    await expect(
      fc.assert(sequences, { numRuns: 4, interruptAfterTimeLimit: 40_000 }),
    ).resolves.toBeUndefined()
  },
)
