import { CID } from 'multiformats/cid'
import { decode } from 'multiformats/hashes/digest'
import { rawCid } from '../blocks/hashes.ts'
import { cancelled } from '../errors.ts'
import type { Maintenance, ScrubResult } from '../types.ts'
import type { MaintenanceParts } from './maintenance.ts'
import { createPacer } from './pacer.ts'

type ScrubOptions = Parameters<Maintenance['scrub']>[0]

/** Rows listed in one question to the database, on the calling thread: well under a millisecond. */
const ROWS_PER_PAGE = 32

/** Blocks asked from peers at once. */
const HEALS_AT_ONCE = 4

/** A block that nobody sends in this time is given up until the next scrub. */
const HEAL_TIMEOUT_MS = 30_000

/** Codecs under which a block may be referenced, the likeliest first: peers are asked by a CID, rows have a multihash. */
const REFERENCE_CODECS = [0x70, 0x55, 0x71, 0x0129, 0x51, 0x0200]

interface Row {
  id: number
  mh: Uint8Array
}

/**
 * Reads and verifies every block in the order of ids. The store quarantines what is rotten; what is referenced is asked
 * from peers and put back, as are blocks that were quarantined before; what nobody references is forgotten.
 */
export async function scrub(
  { writer, blocks, pins, log, scrubRateBytesPerSecond }: MaintenanceParts,
  { signal, after = 0, heal, onProgress }: ScrubOptions,
): Promise<ScrubResult> {
  const db = blocks.reader
  const page = db.prepare<[number, number, number], Row>(
    'SELECT id, mh FROM block WHERE id > ? AND id <= ? AND place <> 2 ORDER BY id LIMIT ?',
  )
  const missingPage = db.prepare<[number, number], Row>(
    'SELECT id, mh FROM block WHERE id > ? AND place = 2 AND refs > 0 ORDER BY id LIMIT ?',
  )
  const lastId = db.prepare<[], number | null>('SELECT max(id) FROM block').pluck()
  const isReferenced = db
    .prepare<[Uint8Array], number>('SELECT 1 FROM block WHERE mh = ? AND place = 2 AND refs > 0')
    .pluck()
  const hasReference = db.prepare<[Uint8Array], number>('SELECT 1 FROM ref WHERE cid = ? LIMIT 1').pluck()
  const result: ScrubResult = { checkedBlocks: 0, checkedBytes: 0, rottenBlocks: 0, healedBlocks: 0 }
  const healing = new Set<Promise<void>>()

  function referencedCid(mh: Uint8Array): CID {
    const digest = decode(mh)
    for (const codec of REFERENCE_CODECS) {
      const cid = CID.createV1(codec, digest)
      if (hasReference.get(cid.bytes) === 1) return cid
    }
    return rawCid(mh)
  }

  async function healOne(mh: Uint8Array, ask: NonNullable<ScrubOptions['heal']>): Promise<void> {
    const cid = referencedCid(mh)
    try {
      const bytes = await ask(cid, AbortSignal.any([signal, AbortSignal.timeout(HEAL_TIMEOUT_MS)]))
      if (bytes === undefined) return
      await blocks.put(cid, bytes, { signal })
      result.healedBlocks++
    } catch (error) {
      if (!signal.aborted)
        log.warn({ err: error, cid: cid.toString() }, 'a damaged block could not be healed')
    }
  }

  async function startHealing(mh: Uint8Array): Promise<void> {
    if (heal === undefined) return
    while (healing.size >= HEALS_AT_ONCE) await Promise.race(healing)
    const work = healOne(mh, heal).finally(() => healing.delete(work))
    healing.add(work)
  }

  async function healMissing(): Promise<void> {
    let position = 0
    for (;;) {
      const rows = missingPage.all(position, ROWS_PER_PAGE)
      for (const { id, mh } of rows) {
        if (signal.aborted) return
        await startHealing(mh)
        position = id
      }
      if (rows.length === 0) return
    }
  }

  async function checkAll(): Promise<void> {
    const pacer = createPacer(scrubRateBytesPerSecond)
    const end = lastId.get() ?? 0
    let position = after
    for (;;) {
      const rows = page.all(position, end, ROWS_PER_PAGE)
      if (rows.length === 0) return
      for (const { id, mh } of rows) {
        if (signal.aborted) return
        const { state, sizeBytes } = await blocks.check(mh, signal)
        position = id
        if (state === 'absent') continue
        result.checkedBlocks++
        result.checkedBytes += sizeBytes
        if (state === 'rotten') {
          result.rottenBlocks++
          if (isReferenced.get(mh) === 1) await startHealing(mh)
        }
        await pacer.spent(sizeBytes, signal)
      }
      onProgress?.({
        after: position,
        totalBlocks: writer.figures.blocks,
        ...result,
      })
    }
  }

  try {
    await healMissing()
    await checkAll()
  } finally {
    await Promise.all(healing)
    // References below a block that was damaged could not be uncounted; now they can.
    if (result.healedBlocks > 0) await pins.resume()
  }
  if (signal.aborted) throw cancelled(signal.reason)
  await writer.call('maintenance.forget', {})
  return result
}
