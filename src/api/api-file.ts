import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writePrivateFile } from './root-token.ts'

/** What HOME/api.json tells clients; `src/client` reads it. */
export interface ApiFile {
  url: string
  pid: number
  version: string
  startedAtMs: number
}

/** Tells clients where this daemon listens. */
export async function announce(home: string, file: ApiFile): Promise<void> {
  await writePrivateFile(join(home, 'api.json'), `${JSON.stringify(file)}\n`)
}

/** Takes the announcement back, unless it is another daemon's by now. */
export async function withdraw(home: string, file: ApiFile): Promise<void> {
  const path = join(home, 'api.json')
  try {
    const found = JSON.parse(await readFile(path, 'utf8')) as Partial<ApiFile>
    if (found.pid === file.pid && found.startedAtMs === file.startedAtMs) await rm(path, { force: true })
  } catch {
    // Gone or unreadable: nothing to take back.
  }
}
