import { buffer } from 'node:stream/consumers'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { Folders } from '../../support/cli.ts'
import { CID, doneJob, JOB_ID, jobOf, json, ScriptedDaemon } from '../../support/cli-daemon.ts'
import { p2pnode } from '../../support/daemon.ts'

const folders = new Folders()
afterAll(() => folders.remove())

it('add sends the rest again to a daemon that crashed after it had taken everything', async () => {
  const folder = await folders.make()
  const home = join(folder, 'home')
  const content = Buffer.from('0123456789')
  await writeFile(join(folder, 'file'), content)

  const daemon = new ScriptedDaemon()
  const job = jobOf({ kind: 'add' })
  const committed = [0, 4]
  let offset = 0
  const status = (): object => ({
    id: 'upload1',
    jobId: JOB_ID,
    state: 'running',
    offset,
    committedOffset: offset,
    size: content.length,
  })
  daemon.routes['POST /api/v1/uploads'] = (_, response) => {
    offset = committed.shift() ?? content.length
    json(response, { upload: status(), job }, 201)
  }
  const parts: string[] = []
  daemon.routes['PATCH /api/v1/uploads/upload1'] = async (request, response) => {
    const part = await buffer(request)
    parts.push(`${request.headers['upload-offset'] as string}: ${part.toString()}`)
    offset += part.length
    json(response, status())
  }
  daemon.routes['POST /api/v1/uploads/upload1/complete'] = (_, response) => json(response, status())
  daemon.answer(`GET /api/v1/jobs/${JOB_ID}`, jobOf({ kind: 'add', state: 'needs-source' }))
  const waits = [
    jobOf({ kind: 'add' }),
    jobOf({ kind: 'add', state: 'needs-source' }),
    jobOf({ kind: 'add' }),
    doneJob({ cid: CID, size: content.length, files: 1 }),
  ]
  daemon.routes[`GET /api/v1/jobs/${JOB_ID}/wait`] = (_, response) => json(response, waits.shift() ?? {})
  await daemon.start(home)
  try {
    const result = await p2pnode(['--home', home, 'add', join(folder, 'file'), '--json'], { cwd: folder })
    expect(result.code, result.stderr).toBe(0)
    expect(result.json()).toMatchObject({ cid: CID })
    expect(parts).toEqual(['0: 0123456789', '4: 456789'])
    expect(waits).toEqual([])
  } finally {
    await daemon.stop()
  }
})
