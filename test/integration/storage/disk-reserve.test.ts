import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DiskReserve } from '../../../src/storage/files/disk-reserve.ts'
import { MIB, openBlocks, testBlock } from '../../support/storage-blocks.ts'

const DISK_BYTES = 48 * MIB
const RESERVE_BYTES = DISK_BYTES / 16

describe('the reserve of a disk that is nearly full', () => {
  let disk = ''
  let isMounted = false
  beforeEach(async () => {
    disk = await mkdtemp(join(tmpdir(), 'p2pnode-reserve-'))
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', disk], { stdio: 'ignore' })
      isMounted = true
    } catch {
      isMounted = false
    }
  })
  afterEach(async () => {
    if (isMounted) execFileSync('umount', ['-l', disk])
    await rm(disk, { recursive: true, force: true })
  })

  it('is kept by many puts at a time, which take all the rest', async (test) => {
    if (!isMounted) return test.skip('this user may not mount a tmpfs')
    const { store } = await openBlocks(disk)
    const puts = Array.from({ length: 96 }, (_, index) => {
      const { cid, bytes } = testBlock(index, MIB)
      return store.put(cid, bytes, { verified: true })
    })
    const ended = await Promise.allSettled(puts)
    const { bavail, bsize } = await statfs(disk)
    const held = ended.filter(({ status }) => status === 'fulfilled').length
    for (const result of ended) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'ERR_DISK_FULL' })
    }
    // The log of SQLite is not admitted: it is what the reserve is for.
    expect(bavail * bsize).toBeGreaterThan(RESERVE_BYTES - MIB / 2)
    expect(bavail * bsize).toBeLessThan(RESERVE_BYTES + 1.5 * MIB)
    expect(held).toBeGreaterThan(42)
    await store.close()
    return undefined
  })

  it('counts what is under way until it has ended and was measured', async (test) => {
    if (!isMounted) return test.skip('this user may not mount a tmpfs')
    const reserve = new DiskReserve(disk)
    const first = await reserve.admit(40 * MIB)
    let isAdmitted = false
    const second = reserve.admit(10 * MIB).then((wrote) => {
      isAdmitted = true
      return wrote
    })
    await reserve.assertRoom(4 * MIB)
    expect(isAdmitted).toBe(false)
    // Given up: nothing of it is on the disk.
    first()
    const wrote = await second
    wrote()
    wrote()
    await expect(reserve.admit(DISK_BYTES)).rejects.toMatchObject({ code: 'ERR_DISK_FULL' })
    ;(await reserve.admit(DISK_BYTES - RESERVE_BYTES - MIB))()
    return undefined
  })
})
