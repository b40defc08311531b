import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { describe, expect, it } from 'vitest'
import { addJob } from '../../../src/content/import/add-job.ts'
import { carImportJob } from '../../../src/content/import/car-job.ts'
import { writeCar } from '../../../src/content/read/car.ts'
import type { CarImportResult } from '../../../src/content/types.ts'
import {
  Crash,
  DurableUpload,
  jobContext,
  keystream,
  type MemoryBlocks,
  memoryStorage,
} from '../../support/content.ts'

const { signal } = new AbortController()

/** A CAR of a file in 1 KiB chunks, and its root. */
async function carOf(sizeBytes: number): Promise<{ car: Buffer; root: string; blocks: number }> {
  const { storage, blocks } = memoryStorage()
  const job = addJob({ storage, jobsFolder: '/nowhere', onAdded() {} })
  const upload = new DurableUpload()
  const params = {
    source: 'file',
    name: 'f',
    profile: 'unixfs-v1-2025',
    pin: null,
    preserveMode: false,
    chunker: 'size-1024',
  } as const
  const { cid } = await job.run(jobContext('car', params, upload, upload.source(keystream('car', sizeBytes))))
  const reader = { get: async (cid: CID) => (await blocks.get(cid)) as Uint8Array }
  const parts: Uint8Array[] = []
  for await (const part of writeCar(reader, CID.parse(cid), signal)) parts.push(part)
  return { car: Buffer.concat(parts), root: cid, blocks: blocks.map.size }
}

/** The same in a CAR of version 2, with padding before the data and an index after it. */
function asVersion2(car: Uint8Array): Buffer {
  const padding = 13
  const header = Buffer.alloc(40)
  header.writeBigUInt64LE(BigInt(11 + 40 + padding), 16)
  header.writeBigUInt64LE(BigInt(car.length), 24)
  header.writeBigUInt64LE(BigInt(11 + 40 + padding + car.length), 32)
  const pragma = Buffer.from([0x0a, 0xa1, 0x67, 0x76, 0x65, 0x72, 0x73, 0x69, 0x6f, 0x6e, 0x02])
  return Buffer.concat([pragma, header, Buffer.alloc(padding), car, keystream('index', 5_000)])
}

async function importCar(
  bytes: Uint8Array,
  pin: string | null = null,
): Promise<{ result: CarImportResult; blocks: MemoryBlocks; pinned: unknown }> {
  const { storage, blocks, pins } = memoryStorage()
  const job = carImportJob({ storage, onAdded() {} })
  const upload = new DurableUpload()
  const result = await job.run(jobContext('car', { pin }, upload, upload.source(bytes, { partBytes: 1000 })))
  return { result, blocks, pinned: pins.pinned }
}

describe('a CAR', () => {
  it('of either version is imported with its root and every block', async () => {
    const { car, root, blocks } = await carOf(50_000)
    for (const bytes of [car, asVersion2(car)]) {
      const imported = await importCar(bytes, 'mine')
      expect(imported.result).toEqual({ roots: [root], blocks, size: expect.any(Number) })
      expect(imported.blocks.map.size).toBe(blocks)
      expect(imported.pinned).toEqual([{ cid: root, name: 'mine' }])
      expect(imported.blocks.leases.size).toBe(0)
    }
  })

  it('goes on from the last commit, wherever it crashed', async () => {
    const { car, root, blocks: count } = await carOf(60_000)
    const resumedFrom = new Set<number>()
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(car.length + 6_000), { maxLength: 4 }),
        fc.boolean(),
        fc.integer({ min: 100, max: 9_000 }),
        async (crashes, isVersion2, partBytes) => {
          const bytes = isVersion2 ? asVersion2(car) : car
          const { storage, blocks } = memoryStorage()
          blocks.delayMs = 1
          const job = carImportJob({
            storage,
            onAdded() {},
            commitInterval: { everyBytes: 2_000, everyMs: 1_000 },
          })
          const upload = new DurableUpload()
          for (const crashAt of crashes.sort((left, right) => left - right)) {
            resumedFrom.add(upload.offset)
            const source = upload.source(bytes, { partBytes, crashAt })
            await job.run(jobContext('car', { pin: null }, upload, source)).catch((error: unknown) => {
              if (!(error instanceof Crash)) throw error
            })
          }
          const result = await job.run(
            jobContext('car', { pin: null }, upload, upload.source(bytes, { partBytes })),
          )
          expect(result).toMatchObject({ roots: [root], blocks: count })
          expect(blocks.map.size).toBe(count)
        },
      ),
      { numRuns: 25 },
    )
    expect(resumedFrom.size).toBeGreaterThan(5)
  })

  it('cut anywhere within a block is refused', async () => {
    const { car } = await carOf(3_000)
    for (const end of [0, 1, 20, car.length - 1, car.length - 500]) {
      await expect(importCar(car.subarray(0, end))).rejects.toMatchObject({
        code: 'ERR_CAR_INVALID',
        kind: 'verification',
      })
    }
    const version2 = asVersion2(car)
    for (const end of [5, 30, 55, 11 + 40 + 13 + car.length - 1]) {
      await expect(importCar(version2.subarray(0, end))).rejects.toMatchObject({ code: 'ERR_CAR_INVALID' })
    }
  })

  it('of garbage is refused before anything is held in memory', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 3_000 }), async (bytes) => {
        await expect(importCar(bytes)).rejects.toMatchObject({ code: 'ERR_CAR_INVALID' })
      }),
      { numRuns: 100 },
    )
    const header = dagCbor.encode({ version: 1, roots: [] })
    const huge = Buffer.concat([
      Buffer.from([header.length]),
      header,
      Buffer.from([0xff, 0xff, 0xff, 0x7f]),
      Buffer.alloc(100),
    ])
    await expect(importCar(huge)).rejects.toMatchObject({
      code: 'ERR_CAR_INVALID',
      message: expect.stringContaining('section'),
    })
  })
})
