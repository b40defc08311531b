import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { JobContext } from '../../../src/jobs/index.ts'
import { type JobBench, openJobs, patience, temporaryFolder } from '../../support/jobs.ts'

/** What a client and fate may do between the beginning of an upload and its end. */
type Step =
  /** sends up to `bytes` more, in chunks of `chunk`; with `dropAfter`, the connection breaks after so many chunks */
  | { op: 'send'; bytes: number; chunk: number; dropAfter: number | null }
  /** sends from a wrong place */
  | { op: 'wrong'; by: number }
  /** the daemon stops in good order */
  | { op: 'restart' }
  /** the daemon is gone from one moment to the next: nothing more is written, as after kill -9 */
  | { op: 'crash' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('send' as const),
      bytes: fc.integer({ min: 1, max: 60 }),
      chunk: fc.integer({ min: 1, max: 20 }),
      dropAfter: fc.option(fc.nat(4)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('wrong' as const), by: fc.integer({ min: 1, max: 5 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ op: 'restart' as const }) },
  { weight: 1, arbitrary: fc.constant({ op: 'crash' as const }) },
)

/** Byte n of every upload; a byte that is lost, doubled or moved shows. */
const byteAt = (offset: number) => (offset * 7 + (offset >> 5)) & 0xff

/** Keeps everything it took in its checkpoint, but commits only now and then, as an importer of large files does. */
function collector(commitEvery: number) {
  return async ({ source, checkpoint }: JobContext<unknown>): Promise<number[]> => {
    if (source === null) throw new Error('an upload was expected')
    const taken = (checkpoint as number[] | undefined) ?? []
    expect(source.offset).toBe(taken.length)
    let uncommitted = 0
    for await (const bytes of source) {
      taken.push(...bytes)
      uncommitted += 1
      if (uncommitted < commitEvery) continue
      await source.commit(taken.length, taken)
      uncommitted = 0
    }
    return taken
  }
}

test('however an upload is cut, dropped, restarted and crashed, every byte arrives once and in its place', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 14 }),
      fc.integer({ min: 0, max: 200 }),
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      async (steps, size, commitEvery, tellsSize) => {
        await using folder = await temporaryFolder()
        const start = async (): Promise<JobBench> => {
          const bench = await openJobs(folder.path)
          bench.jobs.register({
            kind: 'add',
            concurrency: 1,
            resumable: true,
            title: () => 'add',
            run: collector(commitEvery),
          })
          await bench.jobs.start()
          return bench
        }
        const begin = async () => {
          const upload = { fingerprint: 'f', size: tellsSize ? size : null }
          const job = await bench.jobs.submit('add', null, { upload })
          return bench.jobs.uploadOfJob(job.id)
        }
        let bench = await start()
        let status = await begin()
        const id = status?.id ?? ''
        const offset = () => bench.jobs.upload(id)?.offset ?? -1
        try {
          for (const step of steps) {
            switch (step.op) {
              case 'send': {
                const from = offset()
                const bytes = Math.min(step.bytes, size - from)
                const sending = bench.jobs.append(
                  id,
                  from,
                  part(from, bytes, step.chunk, step.dropAfter),
                  patience(),
                )
                await sending.then(
                  (after) => expect(after.offset).toBe(from + bytes),
                  (error: Error) => expect(error.message).toBe('dropped'),
                )
                expect(offset()).toBeGreaterThanOrEqual(from)
                break
              }
              case 'wrong':
                await expect(
                  bench.jobs.append(id, offset() + step.by, part(0, 1, 1, null), patience()),
                ).rejects.toMatchObject({ code: 'ERR_UPLOAD_OFFSET', details: { offset: offset() } })
                break
              case 'restart':
              case 'crash': {
                const committed = bench.jobs.upload(id)?.committedOffset
                // A crash: the database is what it was, and whatever the old process would still do cannot reach it.
                if (step.op === 'crash') await bench.state.close()
                await bench.close()
                bench = await start()
                status = await begin()
                expect(status).toMatchObject({ id, offset: committed, committedOffset: committed })
                break
              }
            }
          }
          await bench.jobs.append(id, offset(), part(offset(), size - offset(), 33, null), patience())
          await bench.jobs.complete(id, size)
          const job = await bench.jobs.wait(status?.jobId ?? '', patience())
          expect(job).toMatchObject({ state: 'done' })
          expect(job.result).toEqual(Array.from({ length: size }, (_, offset) => byteAt(offset)))
        } finally {
          await bench.close()
        }
      },
    ),
    { numRuns: 60 },
  )
})

async function* part(
  from: number,
  length: number,
  chunk: number,
  dropAfter: number | null,
): AsyncGenerator<Uint8Array> {
  let chunks = 0
  for (let at = from; at < from + length; at += chunk) {
    if (chunks++ === dropAfter) throw new Error('dropped')
    yield Uint8Array.from({ length: Math.min(chunk, from + length - at) }, (_, n) => byteAt(at + n))
  }
  if (chunks === dropAfter) throw new Error('dropped')
}
