import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { JobContext, UploadStatus } from '../../../src/jobs/index.ts'
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
    assert.equal(source.offset, taken.length)
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

/** A daemon and a client that both come back after whatever happens to them. */
class Scene implements AsyncDisposable {
  readonly #folder: string
  readonly #size: number
  readonly #commitEvery: number
  readonly #tellsSize: boolean
  #bench: JobBench | undefined
  #id = ''
  #jobId = ''

  constructor(folder: string, size: number, commitEvery: number, tellsSize: boolean) {
    this.#folder = folder
    this.#size = size
    this.#commitEvery = commitEvery
    this.#tellsSize = tellsSize
  }

  get bench(): JobBench {
    if (this.#bench === undefined) throw new Error('not started')
    return this.#bench
  }

  get offset(): number {
    return this.bench.jobs.upload(this.#id)?.offset ?? -1
  }

  /** Starts the daemon and takes the upload up; returns where it stands. */
  async start(): Promise<UploadStatus | undefined> {
    this.#bench = await openJobs(this.#folder)
    const { jobs } = this.#bench
    const run = collector(this.#commitEvery)
    jobs.register({ kind: 'add', concurrency: 1, resumable: true, title: () => 'add', run })
    await jobs.start()
    const upload = { fingerprint: 'f', size: this.#tellsSize ? this.#size : null }
    const job = await jobs.submit('add', null, { upload })
    const status = jobs.uploadOfJob(job.id)
    this.#jobId = job.id
    this.#id = status?.id ?? ''
    return status
  }

  async play(step: Step): Promise<void> {
    switch (step.op) {
      case 'send':
        await this.#send(step)
        return
      case 'wrong': {
        const { offset } = this
        const appending = this.bench.jobs.append(this.#id, offset + step.by, part(0, 1, 1, null), patience())
        await assert.rejects(appending, { code: 'ERR_UPLOAD_OFFSET', details: { offset } })
        return
      }
      case 'restart':
      case 'crash': {
        const offset = this.bench.jobs.upload(this.#id)?.committedOffset
        // A crash: what the old process would still do no longer reaches the database.
        if (step.op === 'crash') await this.bench.state.close()
        await this.bench.close()
        const id = this.#id
        assert.partialDeepStrictEqual(await this.start(), { id, offset, committedOffset: offset })
      }
    }
  }

  /** Sends what is missing and returns what the job made of it all. */
  async end(): Promise<unknown> {
    const { offset } = this
    const { jobs } = this.bench
    await jobs.append(this.#id, offset, part(offset, this.#size - offset, 33, null), patience())
    await jobs.complete(this.#id, this.#size)
    return (await jobs.wait(this.#jobId, patience())).result
  }

  async #send(step: Extract<Step, { op: 'send' }>): Promise<void> {
    const from = this.offset
    const bytes = Math.min(step.bytes, this.#size - from)
    const source = part(from, bytes, step.chunk, step.dropAfter)
    const sending = this.bench.jobs.append(this.#id, from, source, patience())
    const outcome = await sending.then(
      ({ offset }) => offset - from,
      (error: Error) => error.message,
    )
    assert.ok(outcome === bytes || outcome === 'dropped', `the part ended with ${outcome}`)
    assert.ok(this.offset >= from)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bench?.close()
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
        await using scene = new Scene(folder.path, size, commitEvery, tellsSize)
        await scene.start()
        for (const step of steps) await scene.play(step)
        expect(await scene.end()).toEqual(Array.from({ length: size }, (_, offset) => byteAt(offset)))
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
