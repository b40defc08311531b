/**
 * A process that puts blocks until it is killed: `node storage-blocks-child.ts HOME FIRST`. Each line on standard output is
 * the number of a block whose put has resolved. Every tenth block is put without waiting for the others.
 */
import { writeSync } from 'node:fs'
import { openBlocks, testBlock } from './storage-blocks.ts'

const [home, first] = process.argv.slice(2) as [string, string]

export function childBlockSize(index: number): number {
  return [200, 4_000, 16 * 1024, 20_000, 120_000, 1024 * 1024][index % 6] as number
}

if (import.meta.main) {
  const { store } = await openBlocks(home)
  writeSync(1, 'open\n')
  let next = Number(first)
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (;;) {
        const index = next++
        const { cid, bytes } = testBlock(index, childBlockSize(index))
        await store.put(cid, bytes, { verified: true })
        writeSync(1, `${index}\n`)
      }
    }),
  )
}
