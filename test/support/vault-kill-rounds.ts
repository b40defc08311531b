import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Daemon, Lab } from './daemon.ts'
import { persistently } from './kill-rounds.ts'
import { type PutLine, VaultNetwork } from './vault-network.ts'

/** Random moments lie between the start of a put and about when it would be done undisturbed. */
const MAX_DELAY_MS = 1_500

/**
 * Puts a file and kills the owner, next time one holder, at a random moment of it, again and again. The command of the user is not
 * repeated: it comes through. Everything that was ever acknowledged is read at the end by a node that was never
 * killed, from its link alone.
 */
export async function vaultKillRounds(
  lab: Lab,
  options: { rounds: number; fileBytes: number },
): Promise<void> {
  const network = await VaultNetwork.start(lab, { workers: 5, set: { 'vault.repair.grace': '1h' } })
  const reader = await network.node('leecher')
  const folder = await lab.folder()
  const acknowledged: { link: string; sha256: string }[] = []
  for (let round = 0; round < options.rounds; round += 1) {
    const bytes = randomBytes(options.fileBytes + round)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const path = join(folder, `file-${round}`)
    await writeFile(path, bytes)
    const putting = persistently(network.owner, ['put', path, '--redundancy', 'rs:2/4']) as Promise<PutLine>
    putting.catch(() => {})
    await sleep(Math.random() * MAX_DELAY_MS)
    const victim = round % 2 === 0 ? network.owner : network.workers[round % 5]
    await (victim as Daemon).kill()
    await network.restart(victim as Daemon)
    const put = await putting
    expect(put).toMatchObject({ sha256, redundancy: 'rs:2/4' })
    // A holder that died after its receipt counts still, and so does the one that took its place for what came later.
    expect([4, 5]).toContain(put.holders)
    acknowledged.push({ link: put.link, sha256 })
  }
  for (const { link, sha256 } of acknowledged) {
    const out = join(await lab.folder(), 'out')
    expect(await reader.json(['get', link, '-o', out])).toMatchObject({ sha256 })
  }
  const { objects } = await network.owner.json<{ objects: { link: string }[] }>(['ls'])
  expect(objects.map(({ link }) => link).sort()).toEqual(acknowledged.map(({ link }) => link).sort())
  expect(await network.owner.stop()).toBe(0)
}
