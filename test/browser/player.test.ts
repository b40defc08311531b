import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { hasBrowser, openBrowser } from '../support/browser.ts'
import { Lab } from '../support/daemon.ts'
import { type PutLine, VaultNetwork } from '../support/vault-network.ts'
import { wavFile } from '../support/wav.ts'

const SECONDS = 600

/** What lies in a folder, databases and their logs left out, which move by themselves. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && !/\.db(-wal|-shm)?$/.test(entry.name))
  return files.map((entry) => join(entry.parentPath, entry.name)).sort()
}

/** What the page's player is doing. Asked again and again: in the page itself no script may run, so that no event is heard. */
const PLAYER = `(() => {
  const { readyState, error, duration, currentTime, seeking } = document.querySelector('video')
  return { readyState, error: error?.message ?? null, duration, at: currentTime, seeking }
})()`

interface PlayerState {
  readyState: number
  error: string | null
  duration: number
  at: number
  seeking: boolean
}

test.runIf(hasBrowser())(
  'a browser plays a private file from the network and seeks in it; nothing of it comes to the disk',
  async () => {
    const lab = new Lab()
    onTestFinished(() => lab.close())
    const network = await VaultNetwork.start(lab, { workers: 4 })
    const wav = wavFile(SECONDS)
    const path = join(await lab.folder(), 'concert.wav')
    await writeFile(path, wav)
    const { link } = await network.owner.json<PutLine>(['put', path, '--redundancy', 'rs:2/4'])
    const player = await network.node('leecher', { set: { 'vault.publicRead': 'true' } })
    const before = await filesIn(player.home)
    const databaseBytes = async (): Promise<number> => (await stat(join(player.home, 'blocks.db'))).size
    const bytesBefore = await databaseBytes()

    const browser = await openBrowser()
    onTestFinished(() => browser.close())
    const page = await browser.newPage()
    const ranges: string[] = []
    page.on('response', (response) => {
      if (response.url().includes('/api/v1/files/') && response.status() === 206)
        ranges.push(response.headers()['content-range'] ?? '')
    })
    // Chromium makes a page with a player of what it navigates to.
    await page.goto(`${player.ready.api}/api/v1/files/${encodeURIComponent(link)}`)
    const state = (): Promise<PlayerState> => page.evaluate<PlayerState>(PLAYER)
    const patience = { timeout: 60_000 }
    await expect.poll(state, patience).toMatchObject({ readyState: 4, error: null, duration: SECONDS })
    const target = SECONDS * 0.9
    await page.evaluate(
      `(() => { const video = document.querySelector('video'); video.currentTime = ${target}; video.play() })()`,
    )
    await expect.poll(async () => (await state()).at, patience).toBeGreaterThan(target + 0.2)
    expect(await state()).toMatchObject({ error: null, seeking: false })
    // It asked for the place that it jumped to, and did not read its way there.
    const starts = ranges.map((range) => Number(/^bytes (\d+)-/.exec(range)?.[1]))
    expect(starts.some((start) => start > wav.length * 0.8)).toBe(true)
    expect(await filesIn(player.home)).toEqual(before)
    expect(await databaseBytes()).toBe(bytesBefore)
  },
)
