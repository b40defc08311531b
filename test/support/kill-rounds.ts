import { createHash, randomBytes } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { type Daemon, type DaemonOptions, type Lab } from './daemon.ts'

/** A port that stays, so that a restarted daemon is found where its peers knew it. */
function portOf(daemon: Daemon): string {
  return /\/tcp\/(\d+)/.exec(daemon.address)?.[1] ?? '0'
}

async function restart(lab: Lab, dead: Daemon, options: DaemonOptions = {}): Promise<Daemon> {
  return lab.daemon({
    ...options,
    home: dead.home,
    set: { 'network.listen': JSON.stringify([`/ip4/127.0.0.1/tcp/${portOf(dead)}`]) },
    noListen: true,
  })
}

/** Random moments lie between the start of a command and about when it would be done undisturbed. */
const MAX_DELAY_MS = 800
/** Files read back after each round. */
const READ_BACK = 4
const EXIT_NO_DAEMON = 3
const EXIT_NOT_FOUND = 4

/**
 * Runs a command that must come through. Only where it began while no daemon was there at all, or nobody had yet given a
 * single block, is it run again, as its user would.
 */
export async function persistently(daemon: Daemon, args: string[]): Promise<unknown> {
  for (let attempt = 1; ; attempt += 1) {
    const result = await daemon.run([...args, '--json'], { timeoutMs: 120_000 })
    if (result.code === 0) return result.json()
    if ((result.code !== EXIT_NO_DAEMON && result.code !== EXIT_NOT_FOUND) || attempt === 10) {
      throw new Error(`p2pnode ${args.join(' ')} exited ${result.code}:\n${result.stdout}\n${result.stderr}`)
    }
    await sleep(500)
  }
}

/**
 * Adds a file on one node and gets it on another, killing one of them at a random moment of either, again and again. The commands
 * of the user are never repeated: they must come through. What was acknowledged last is read back after each round, and
 * everything at the end.
 */
export async function killRounds(lab: Lab, options: { rounds: number; fileBytes: number }): Promise<void> {
  let source = await lab.daemon()
  let target = await lab.daemon()
  const acknowledged: { cid: string; sha256: string }[] = []
  const folder = await lab.folder()
  const readBack = async (files: typeof acknowledged, when: string): Promise<void> => {
    for (const { cid, sha256 } of files) {
      const back = join(folder, `back-${when}-${cid}`)
      const read = await source.json<{ sha256: string; sources: unknown[] }>(['get', cid, '-o', back])
      expect(read).toMatchObject({ sha256, sources: [] })
      await rm(back)
    }
  }
  for (let round = 0; round < options.rounds; round += 1) {
    const bytes = randomBytes(options.fileBytes + round)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const path = join(folder, `file-${round}`)
    await writeFile(path, bytes)

    const adding = persistently(source, ['add', path]) as Promise<{ cid: string }>
    adding.catch(() => {})
    await sleep(Math.random() * MAX_DELAY_MS)
    await source.kill()
    source = await restart(lab, source)
    const { cid } = await adding
    acknowledged.push({ cid, sha256 })

    await target.json(['connect', source.address])
    const out = join(folder, `out-${round}`)
    const getting = persistently(target, ['get', cid, '-o', out]) as Promise<{ sha256: string }>
    getting.catch(() => {})
    await sleep(Math.random() * MAX_DELAY_MS)
    if (round % 2 === 0) {
      await target.kill()
      target = await restart(lab, target, { bootstrap: [source.address] })
    } else {
      await source.kill()
      source = await restart(lab, source)
      await target.run(['connect', source.address])
    }
    expect((await getting).sha256).toBe(sha256)

    await readBack(acknowledged.slice(-READ_BACK), `${round}`)
  }
  await readBack(acknowledged, 'end')
  expect(await source.stop()).toBe(0)
  expect(await target.stop()).toBe(0)
}
