import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { type ManifestEntry, SEGMENT_BYTES } from '../../../src/vault/codec/index.ts'
import { codecBench, fileManifest, patterned, place } from '../../support/vault-codec.ts'

const { segments, manifests, signal } = codecBench(2)
const MAX_TURN_MS = 50
/** Seconds where the machine is quiet. */
const PATIENCE_MS = 300_000

/** Collections of garbage, of the test runner's large heap, that may take a turn of their own. */
const SPARED_TURNS = 2

/**
 * How long turns of the event loop worked meanwhile, the longest of them, by the time the processor gave to this thread: what
 * else the machine does is not counted.
 */
async function longTurnMs(work: () => Promise<unknown>): Promise<number> {
  const longest: number[] = []
  let over = false
  let before = process.threadCpuUsage()
  const look = (): void => {
    const used = process.threadCpuUsage(before)
    longest.push((used.user + used.system) / 1000)
    if (longest.length > 1_000) longest.sort((a, b) => b - a).splice(SPARED_TURNS + 1)
    before = process.threadCpuUsage()
    if (!over) setImmediate(look)
  }
  setImmediate(look)
  await work()
  over = true
  await new Promise((resolve) => setImmediate(resolve))
  return longest.sort((a, b) => b - a)[SPARED_TURNS] ?? 0
}

test(
  'encoding and decoding 256 MiB leaves the event loop to others',
  async () => {
    const original = patterned(SEGMENT_BYTES)
    const redundancy = { k: 4, n: 8 }
    const where = place()
    // Threads and their code are there before the clock starts, as in a node that works.
    await segments.encode(original.slice(), { ...where, redundancy, signal })
    const longest = await longTurnMs(async () => {
      let left = 256
      const worker = async () => {
        while (left-- > 0) {
          const { pieces, mode, sealedBytes } = await segments.encode(original.slice(), {
            ...where,
            redundancy,
            signal,
          })
          const found = new Map([1, 4, 6, 7].map((column) => [column, pieces[column] ?? expect.fail()]))
          const decoded = await segments.decode(found, { ...where, mode, sealedBytes, redundancy, signal })
          expect(decoded.length).toBe(SEGMENT_BYTES)
        }
      }
      await Promise.all([worker(), worker(), worker(), worker()])
    })
    expect(longest).toBeLessThan(MAX_TURN_MS)
  },
  PATIENCE_MS,
)

test(
  'the manifest of a tree of 100 000 files is sealed and opened without holding the event loop',
  async () => {
    const slab = new Uint8Array(randomBytes(32))
    const name = 'a-folder-with-a-name/another-one/and-a-file-of-the-usual-length-of-names'
    const entries = Array.from(
      { length: 100_000 },
      (_, at): ManifestEntry => ({
        path: `${name}-${at}.txt`,
        type: 'file',
        mode: 0o644,
        size: 0,
        offset: 0,
        sha256: new Uint8Array(randomBytes(32)),
        mime: 'text/plain',
        target: '',
      }),
    )
    const { body } = fileManifest(slab, { kind: 'tree', size: 0, sha256: null, slabs: [], entries })
    const map = { redundancy: { k: 4, n: 8 }, groups: [{ id: slab, slabs: [] }] }
    const options = { slab, salt: randomBytes(32), readKey: randomBytes(32), signal }
    let opened: Awaited<ReturnType<typeof manifests.open>> | undefined
    const longest = await longTurnMs(async () => {
      const { pieces } = await manifests.seal({ map, body }, options)
      expect(pieces.length).toBeGreaterThan(10)
      opened = await manifests.open(pieces, options)
    })
    expect(opened?.body.entries.length).toBe(100_000)
    expect(opened?.body.entries.at(-1)).toEqual(entries.at(-1))
    expect(longest).toBeLessThan(MAX_TURN_MS)
  },
  PATIENCE_MS,
)
