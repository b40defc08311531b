import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type OpenStorage, openStorage } from '../../../src/storage/open.ts'
import { openState } from '../../../src/storage/state/index.ts'
import { rawCid } from '../../support/content-protocol.ts'
import { quiet } from '../../support/content.ts'

let home: string
let storage: OpenStorage
let close: () => Promise<void>

async function open(): Promise<void> {
  const state = await openState({ path: join(home, 'state.db'), log: quiet })
  const config = {
    quotaBytes: 2 ** 30,
    offerBytes: 0,
    durability: 'relaxed',
    memoryBytes: 0,
    scrubRateBytesPerSecond: 2 ** 30,
  } as const
  storage = await openStorage({ home, config, state, log: quiet })
  close = async () => {
    await storage.close()
    await state.close()
  }
}

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'p2pnode-marks-'))
  await open()
})
afterEach(async () => {
  await close()
  await rm(home, { recursive: true, force: true })
})

const some = (count: number) => Array.from({ length: count }, () => rawCid(randomBytes(32)))

describe('marks', () => {
  it('hold at once, and after a restart, whether the block is held or not', async () => {
    const [first, second, other] = some(3)
    const adding = storage.marks.add([first!, second!])
    expect(storage.marks.has(first!)).toBe(true)
    expect(storage.marks.has(other!)).toBe(false)
    await adding
    await close()
    await open()
    expect([first, second, other].map((cid) => storage.marks.has(cid!))).toEqual([true, true, false])
  })

  it('outlive the block that was collected', async () => {
    const bytes = randomBytes(100)
    const cid = rawCid(bytes)
    await storage.marks.add([cid])
    await storage.blocks.put(cid, bytes)
    await storage.maintenance.collect({ signal: AbortSignal.timeout(10_000) })
    expect(await storage.blocks.has(cid)).toBe(false)
    expect(storage.marks.has(cid)).toBe(true)
  })

  it('are taken back but for those that were added again meanwhile', async () => {
    const cids = some(1_200)
    await storage.marks.add(cids)
    await storage.marks.begin()
    await storage.marks.add(cids.slice(0, 100))
    await storage.marks.drop(cids)
    storage.marks.end()
    expect(cids.filter((cid) => storage.marks.has(cid))).toEqual(cids.slice(0, 100))
  })

  it('have roots, by pages', async () => {
    const cids = some(5)
    for (const cid of cids) await storage.marks.addRoot(cid)
    await storage.marks.addRoot(cids[0]!)
    const first = storage.marks.roots({ limit: 3 })
    const rest = storage.marks.roots({ after: first[2]!.cid })
    const texts = [...first, ...rest].map(({ cid }) => cid.toString())
    expect(texts.toSorted()).toEqual(cids.map(String).toSorted())
    await storage.marks.removeRoot(cids[0]!)
    expect(storage.marks.roots()).toHaveLength(4)
    expect(storage.marks.has(cids[0]!)).toBe(true)
  })

  it('say that everything is private once the store is closed and there were any', async () => {
    await storage.marks.add(some(1))
    await close()
    expect(storage.marks.has(some(1)[0]!)).toBe(true)
    await open()
  })

  it('come by the ten thousand in some groups', async () => {
    const cids = some(20_000)
    await storage.marks.add(cids)
    expect(cids.every((cid) => storage.marks.has(cid))).toBe(true)
  })
})
