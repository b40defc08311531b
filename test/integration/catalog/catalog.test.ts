import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CatalogService } from '../../../src/catalog/types.ts'
import { SimulatedNetwork } from '../../../src/simulation/network.ts'
import { openState } from '../../../src/storage/state/index.ts'
import { SOME_CID } from '../../support/catalog.ts'
import { eventually, quietLogger } from '../../support/network.ts'

const COUNT = 4
const signal = AbortSignal.timeout(120_000)
const address = `/ipfs/${SOME_CID}`

let folder: string
let network: SimulatedNetwork

const at = (index: number): CatalogService => {
  const member = network.members[index]
  if (member === undefined) throw new RangeError('no such node')
  return network.services(member).catalog
}
const peer = (index: number): string => network.members[index]?.peer ?? ''
const members = (...indexes: number[]) => network.members.filter((_, index) => indexes.includes(index))
const titles = (index: number): string[] =>
  at(index)
    .search({ limit: 200 })
    .entries.map(({ title }) => title)
    .toSorted()

describe('the catalogue of a network', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'p2pnode-catalog-'))
    network = new SimulatedNetwork({ count: COUNT, folder, log: quietLogger() })
    await network.start(network.members, { signal })
    expect(await network.whenConnected(30_000, signal)).toBe(true)
  })
  afterAll(async () => {
    await network.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('reaches everybody, and so does a withdrawal', async () => {
    const heard: string[] = []
    const end = at(3).onEntry(({ title }) => heard.push(title))
    const { entry } = await at(1).publish({ title: 'Hello world', address, tags: ['greeting'] }, { signal })
    expect(entry).toMatchObject({ publisher: peer(1), sequence: 1, isOwn: true, kind: 'other' })
    await eventually('all have the entry', () =>
      network.members.every((_, index) => titles(index).includes('Hello world')),
    )
    expect(heard).toEqual(['Hello world'])
    end()
    const found = at(3).search({ text: 'hello', tag: 'greeting' })
    expect(found.entries).toEqual([{ ...entry, isOwn: false }])
    await at(1).withdraw([1], { signal })
    await eventually('all have let go of it', () =>
      network.members.every((_, index) => titles(index).length === 0),
    )
    expect(at(0).statistics()).toMatchObject({ entries: 0, records: 1, invalid: 0 })
  })

  it('comes to whoever was away, by anti-entropy, and with it what was withdrawn meanwhile', async () => {
    await at(0).publish({ title: 'before', address }, { signal })
    await eventually('all have it', () =>
      network.members.every((_, index) => titles(index).includes('before')),
    )
    await network.stop(members(3))
    for (let count = 0; count < 40; count++)
      await at(2).publish({ title: `while away ${count}`, address }, { signal })
    await at(0).withdraw('all', { signal })
    await network.start(members(3), { signal })
    await eventually('it has what it missed', () => titles(3).length === 40, 30_000)
    expect(titles(3)).not.toContain('before')
    expect(titles(3)).toEqual(titles(2))
  })

  it('is asked of its publisher, by the head of its log in the DHT', async () => {
    const { entry } = await at(2).publish({ title: 'the last one', address }, { signal })
    await eventually('the head is told', async () => {
      const { publisher } = await at(0).sync({ publisher: peer(2), signal })
      return publisher?.headSequence === entry.sequence
    })
    expect(await at(0).sync({ publisher: peer(2), signal })).toMatchObject({
      failed: 0,
      publisher: {
        publisher: peer(2),
        sequence: entry.sequence,
        entries: 41,
        isForked: false,
        isShown: true,
      },
    })
    const all = await at(1).sync({ signal })
    expect(all).toMatchObject({ failed: 0, publisher: null })
    expect(all.peers).toBeGreaterThan(0)
    await expect(at(1).sync({ publisher: 'nobody', signal })).rejects.toMatchObject({
      code: 'ERR_PEER_INVALID',
    })
  })

  it('goes on at the head where the publisher has lost its own records', async () => {
    const member = network.members[2]
    const before = at(2)
      .publishers()
      .find(({ isOwn }) => isOwn)
    // As after a restore of an old state: the key is there, the log is not.
    await network.stop(members(2))
    const state = await openState({ path: join(member!.home, 'state.db'), log: quietLogger() })
    for (const table of ['publisher', 'record', 'body', 'withdrawn', 'text'])
      state.db.exec(`DELETE FROM catalog_${table}`)
    await state.close()
    await network.start(members(2), { signal })
    await eventually('it is connected', () => network.services(member!).network.peers().length > 0)
    const { entry } = await at(2).publish({ title: 'goes on', address }, { signal })
    expect(entry.sequence).toBe((before?.sequence ?? 0) + 1)
    await eventually('all have it', () =>
      network.members.every((_, index) => titles(index).includes('goes on')),
    )
    await eventually('its own records came back', () => titles(2).length === titles(0).length, 30_000)
    expect(
      at(0)
        .publishers()
        .every(({ isForked }) => !isForked),
    ).toBe(true)
  })

  it('hides what a publisher says once it is not trusted', async () => {
    const { trust } = network.services(network.members[0]!)
    const shown = titles(0).length
    trust.setScore(peer(2), 0.25)
    expect(titles(0).length).toBeLessThan(shown)
    expect(at(0).search({ text: 'away' })).toMatchObject({
      entries: [],
      hidden: { entries: 40, publishers: 1 },
    })
    trust.setScore(peer(2), null)
    expect(titles(0)).toHaveLength(shown)
  })
})
