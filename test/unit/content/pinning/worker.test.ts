import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { P2pnodeError } from '../../../../protocols/shared/errors.ts'
import { createPinning, type Pinning, type PinningOptions } from '../../../../src/content/pinning/index.ts'
import type { JobContext } from '../../../../src/jobs/types.ts'
import type { Pin } from '../../../../src/storage/types.ts'
import { type JobBench, openJobs, temporaryFolder } from '../../../support/jobs.ts'
import { eventually } from '../../../support/network.ts'

const ALL = ['queued', 'pinning', 'pinned', 'failed'] as const
const CID_TEXT = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const ORIGIN = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWGRUfLsyJUWbM7ytJbYfSVPHQjKjxZ3VZJ9JYvbhfBPhe'
const { signal } = new AbortController()

const unavailable = new P2pnodeError('ERR_NOT_FOUND', 'not-found', 'nobody has it')
const malformed = new P2pnodeError('ERR_DAG_INVALID', 'verification', 'it is malformed')

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let bench: JobBench
let pinning: Pinning | undefined
/** What a `pin` job does; tests put in their own. */
let work: (context: JobContext<unknown>) => Promise<unknown>

async function open(options: Partial<PinningOptions> = {}): Promise<Pinning> {
  bench = await openJobs(folder.path)
  bench.jobs.register({
    kind: 'pin',
    concurrency: 8,
    resumable: true,
    title: () => 'pin',
    run: (context) => work(context),
  })
  await bench.jobs.start()
  const held = { name: '', kind: 'recursive', state: 'pinned', createdAtMs: 0 } as unknown as Pin
  pinning = createPinning({
    state: bench.state,
    jobs: bench.jobs,
    pins: { list: () => ({ pins: [held], nextAfterId: null }), remove: async () => [] },
    connect: async () => {},
    log: bench.log,
    firstRetryMs: 1,
    ...options,
  })
  pinning.start()
  return pinning
}

async function close(): Promise<void> {
  await pinning?.stop()
  await bench.close()
}

beforeEach(async () => {
  folder = await temporaryFolder()
  work = async () => ({})
})
afterEach(async () => {
  await close()
  await folder[Symbol.asyncDispose]()
})

const statusOf = (service: Pinning, id: string): string | undefined => service.get(id)?.status

describe('work on pin requests', () => {
  it('tries again what nobody has, says why it waits, and gives up with its patience', async () => {
    let nowMs = Date.now()
    let tries = 0
    work = async () => {
      tries += 1
      throw unavailable
    }
    const service = await open({ now: () => nowMs, patienceMs: 60_000 })
    const { id } = await service.add({ cid: CID_TEXT })
    await eventually('the first try has failed', () => service.get(id)?.reason !== null)
    expect(service.get(id)).toMatchObject({ status: 'pinning', reason: 'nobody has it' })
    nowMs += 10
    await service.add({ cid: CID_TEXT })
    await eventually('there was a second try', () => tries >= 3)
    nowMs += 70_000
    await service.add({ cid: CID_TEXT })
    await eventually('it has failed', () => statusOf(service, id) === 'failed')
    expect(service.get(id)?.reason).toBe('nobody has it')
  })

  it('does not try again what will never be otherwise', async () => {
    work = async () => {
      throw malformed
    }
    const service = await open()
    const { id } = await service.add({ cid: CID_TEXT })
    await eventually('it has failed', () => statusOf(service, id) === 'failed')
    expect(bench.jobs.list({ kind: 'pin' })).toHaveLength(1)
  })

  it('goes on after a restart, from whatever a crash left', async () => {
    work = ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    let service = await open()
    const ids: string[] = []
    for (let count = 0; count < 4; count++) ids.push((await service.add({ cid: CID_TEXT })).id)
    await eventually('all have jobs', () => bench.jobs.list({ kind: 'pin' }).length === 4)
    await close()
    const { state, close: shut } = await openJobs(folder.path)
    // One lost its job, of one it is not known which it was, one was never begun.
    state.db.prepare("UPDATE pin_request SET job = 'gone' WHERE id = ?").run(ids[0])
    state.db.prepare('UPDATE pin_request SET job = NULL WHERE id = ?').run(ids[1])
    state.db
      .prepare("UPDATE pin_request SET job = NULL, next_ms = 0, status = 'queued' WHERE id = ?")
      .run(ids[2])
    await shut()
    work = async () => ({})
    service = await open()
    await eventually('all are pinned', () => ids.every((id) => statusOf(service, id) === 'pinned'))
    expect(service.list({ statuses: [...ALL], limit: 10 }).count).toBe(4)
  })

  it('takes over what its job came to while nobody looked', async () => {
    const gate = Promise.withResolvers<void>()
    work = () => gate.promise
    const first = await open()
    const { id } = await first.add({ cid: CID_TEXT })
    await eventually('it is worked on', () => statusOf(first, id) === 'pinning')
    await first.stop()
    gate.resolve()
    await eventually('the job has ended', () => bench.jobs.list({ kind: 'pin' })[0]?.state === 'done')
    await bench.close()
    const second = await open()
    await eventually('it is pinned', () => statusOf(second, id) === 'pinned')
  })

  it('fails where somebody cancels its job', async () => {
    work = ({ signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    const service = await open()
    const { id } = await service.add({ cid: CID_TEXT })
    await eventually('it has a job', () => bench.jobs.list({ kind: 'pin' }).length === 1)
    await bench.jobs.cancel(bench.jobs.list({ kind: 'pin' })[0]!.id)
    await eventually('it has failed', () => statusOf(service, id) === 'failed')
    expect(service.get(id)?.reason).toContain('cancelled')
  })

  it('begins a bounded number at once, and all in the end', async () => {
    let running = 0
    let most = 0
    const gate = Promise.withResolvers<void>()
    work = async () => {
      running += 1
      most = Math.max(most, running)
      await gate.promise
      running -= 1
    }
    const service = await open()
    const requests = await Promise.all(Array.from({ length: 150 }, () => service.add({ cid: CID_TEXT })))
    await eventually(
      'jobs are handed over',
      () => bench.jobs.list({ kind: 'pin', limit: 1_000 }).length === 64,
    )
    gate.resolve()
    await eventually('all are pinned', () => requests.every(({ id }) => statusOf(service, id) === 'pinned'))
    expect(most).toBe(8)
  })

  it('ends with what is let go, also while its origins are dialled', async () => {
    const dialled = Promise.withResolvers<void>()
    const service = await open({
      connect: async (_origin, signal) => {
        dialled.resolve()
        await new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as Error)),
        )
      },
    })
    const { id } = await service.add({ cid: CID_TEXT, origins: [ORIGIN] })
    await dialled.promise
    await service.remove(id, { signal })
    expect(service.get(id)).toBeUndefined()
    await expect(service.remove(id, { signal })).rejects.toMatchObject({ code: 'ERR_PIN_REQUEST_NOT_FOUND' })
    expect(bench.jobs.list({ kind: 'pin' })).toEqual([])
  })
})
