import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createPinning, type Pinning, type PinningOptions } from '../../../src/content/pinning/index.ts'
import { openState } from '../../../src/storage/state/index.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { quiet } from '../../support/content.ts'
import { type ContentNode, startContentNode } from '../../support/content-node.ts'
import { eventually } from '../../support/network.ts'

const ALL = ['queued', 'pinning', 'pinned', 'failed'] as const
const NOBODY = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const { signal } = new AbortController()

let keeper: ContentNode
let source: ContentNode
let folder: string
let state: StateDatabase
let pinning: Pinning | undefined
beforeEach(async () => {
  keeper = await startContentNode()
  source = await startContentNode()
  folder = await mkdtemp(join(tmpdir(), 'p2pnode-pinning-'))
  state = await openState({ path: join(folder, 'state.db'), log: quiet })
})
afterEach(async () => {
  await pinning?.stop()
  await Promise.all([keeper.stop(), source.stop()])
  await state.close()
  await rm(folder, { recursive: true, force: true })
})

/** The service over the keeper's jobs and pins; its requests are in a database of their own, which outlives it. */
function open(options: Partial<PinningOptions> = {}): Pinning {
  pinning = createPinning({
    state,
    jobs: keeper.jobs,
    pins: keeper.storage.pins,
    connect: (origin, signal) => keeper.libp2p.dial(multiaddr(origin), { signal }),
    log: quiet,
    firstRetryMs: 20,
    ...options,
  })
  pinning.start()
  return pinning
}

const settled = (service: Pinning, id: string): Promise<void> =>
  eventually('it is at its end', () => ['pinned', 'failed'].includes(service.get(id)?.status ?? ''))

const pinsOf = (cid: string): string[] =>
  keeper.storage.pins.list({ cid: CID.parse(cid) }).pins.map(({ name }) => name)

describe('pinning for others', () => {
  it('gets content from its origins, and keeps it until it is let go', async () => {
    const service = open()
    const { cid } = await source.add(new Uint8Array(300_000).fill(7))
    const { id } = await service.add({ cid, name: 'from elsewhere', origins: [source.address] })
    await settled(service, id)
    expect(service.get(id)).toMatchObject({ status: 'pinned', reason: null })
    expect(pinsOf(cid)).toEqual([`/pins/${id}`])
    expect(keeper.storage.pins.state(CID.parse(cid))).toBe('recursive')
    // Another request for the same is a pin of its own.
    const second = await service.add({ cid })
    await settled(service, second.id)
    await service.remove(id, { signal })
    expect(pinsOf(cid)).toEqual([`/pins/${second.id}`])
    await service.remove(second.id, { signal })
    expect(keeper.storage.pins.state(CID.parse(cid))).toBe('none')
    await expect(service.remove(id, { signal })).rejects.toMatchObject({ code: 'ERR_PIN_REQUEST_NOT_FOUND' })
  }, 30_000)

  it('ends what is under way when it is let go, and asks nobody about what is private', async () => {
    const dialled: string[] = []
    const service = open({
      isPrivate: () => true,
      connect: async (origin) => {
        dialled.push(origin)
      },
    })
    const requests = await Promise.all(
      Array.from({ length: 100 }, () => service.add({ cid: NOBODY, origins: [source.address] })),
    )
    await Promise.all(requests.map(({ id }) => service.remove(id, { signal })))
    expect(service.list({ statuses: [...ALL], limit: 10 })).toEqual({ count: 0, requests: [] })
    await eventually('nothing runs', () =>
      keeper.jobs.list({ kind: 'pin', limit: 1_000 }).every(({ endedAtMs }) => endedAtMs !== null),
    )
    expect(dialled).toEqual([])
    expect(keeper.storage.pins.count()).toBe(0)
  }, 30_000)

  it('is let go at any moment of its search, without an error that nobody hears', async () => {
    const service = open()
    const endedJobs = (): number =>
      keeper.jobs.list({ kind: 'pin', limit: 1_000 }).filter(({ endedAtMs }) => endedAtMs !== null).length
    for (let round = 0; round < 40; round++) {
      const digest = await sha256.digest(Buffer.from(`nobody has this ${round}`))
      const { id } = await service.add({ cid: CID.createV1(raw.code, digest).toString() })
      // Each round a few turns of the loop later than the one before.
      for (let turns = 0; turns < round; turns++) await new Promise(setImmediate)
      await service.remove(id, { signal })
    }
    await eventually(
      'nothing runs',
      () => endedJobs() === keeper.jobs.list({ kind: 'pin', limit: 1_000 }).length,
    )
    expect(service.list({ statuses: [...ALL], limit: 10 }).count).toBe(0)
  }, 30_000)

  it('says that a pin is gone where somebody removed it on the node itself', async () => {
    const service = open()
    const { cid } = await keeper.add(new Uint8Array(1_000), { pin: null })
    const { id } = await service.add({ cid })
    await settled(service, id)
    await keeper.storage.pins.remove(CID.parse(cid), { signal })
    expect(service.get(id)).toMatchObject({ status: 'failed', reason: expect.stringContaining('removed') })
  }, 30_000)
})
