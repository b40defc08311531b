import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { openBlocks, temporaryHome, testBlock } from './storage-blocks.ts'
import { childBlockSize } from './storage-blocks-child.ts'

const CHILD = fileURLToPath(new URL('./storage-blocks-child.ts', import.meta.url))

/**
 * Kills a process that puts blocks, at a random moment, `rounds` times over one home folder, and checks after each that
 * the database opens, every acknowledged block reads back, and no file without a row stays. Resolves to the number of acknowledged blocks.
 */
export async function killRounds(rounds: number): Promise<number> {
  await using home = await temporaryHome()
  const acknowledged: number[] = []
  for (let round = 0; round < rounds; round++) {
    const before = acknowledged.length
    await runAndKill(home.path, round * 1_000_000, acknowledged)
    await using opened = await openBlocks(home.path)
    expect(acknowledged.length).toBeGreaterThan(before)
    for (const index of acknowledged) {
      const { cid, bytes } = testBlock(index, childBlockSize(index))
      const read = await opened.store.get(cid)
      expect(
        read !== undefined && Buffer.from(read).equals(bytes),
        `block ${index} after round ${round}`,
      ).toBe(true)
    }
    // What was not acknowledged may be there, but then it is whole.
    for await (const { cid } of opened.store.asBlockstore().getAll()) {
      expect(await opened.store.get(cid)).toBeDefined()
    }
    expect(opened.rotten).toEqual([])
    expect(opened.store.usage().blocks).toBeGreaterThanOrEqual(acknowledged.length)
    await opened.store.swept
  }
  return acknowledged.length
}

async function runAndKill(home: string, first: number, acknowledged: number[]): Promise<void> {
  const child = spawn(process.execPath, [CHILD, home, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })
  const ended = once(lines, 'close')
  let putting: () => void = () => {}
  const begun = new Promise<void>((resolve) => {
    putting = resolve
  })
  lines.on('line', (line) => {
    if (line === 'open') return
    acknowledged.push(Number(line))
    putting()
  })
  await begun
  await sleep(Math.random() * 300)
  child.kill('SIGKILL')
  await Promise.all([exited, ended])
}
