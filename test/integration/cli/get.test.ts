import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Folders } from '../../support/cli.ts'
import { CID, doneJob, JOB_ID, jobOf, json, resolvedFile, ScriptedDaemon } from '../../support/cli-daemon.ts'
import { p2pnode } from '../../support/daemon.ts'

const executable = fileURLToPath(new URL('../../../bin/p2pnode.js', import.meta.url))
const content = Buffer.from('0123456789')
const WAIT = `GET /api/v1/jobs/${JOB_ID}/wait`
const CANCEL = `POST /api/v1/jobs/${JOB_ID}/cancel`
const CAT = 'GET /api/v1/content/cat'

const folders = new Folders()
let daemon: ScriptedDaemon
let home: string
let folder: string
let out: string

beforeEach(async () => {
  folder = await folders.make()
  home = join(folder, 'home')
  out = join(folder, 'out')
  await mkdir(out)
  daemon = new ScriptedDaemon()
  daemon.answer('POST /api/v1/content/get', jobOf())
  daemon.answer('GET /api/v1/content/resolve', resolvedFile('name'))
  daemon.answer(WAIT, doneJob({ sources: [{ peer: 'P', blocks: 1, bytes: 10 }] }))
  daemon.answer(CANCEL, jobOf({ state: 'cancelled' }))
  daemon.routes[CAT] = (_, response) => void response.end(content)
  await daemon.start(home)
})
afterEach(async () => {
  await daemon.stop()
  await folders.remove()
})

const run = (...args: string[]) => p2pnode(['--home', home, ...args], { cwd: out })

function spawned(...args: string[]): { child: ChildProcess; ended: Promise<[number | null, string | null]> } {
  const child = spawn(process.execPath, [executable, '--home', home, ...args], { cwd: out, stdio: 'ignore' })
  return { child, ended: once(child, 'close') as Promise<[number | null, string | null]> }
}

const partial = async (): Promise<string[]> => (await readdir(out)).filter((name) => name.includes('partial'))

/** Starts a get whose bytes and job never end, and waits until its partial file is there. */
async function stuck(): Promise<ReturnType<typeof spawned>> {
  daemon.routes[WAIT] = undefined
  daemon.routes[CAT] = (_, response) => void response.write(content)
  const process = spawned('get', CID)
  await vi.waitFor(async () => expect(await partial()).toHaveLength(1), { timeout: 10_000, interval: 20 })
  return process
}

describe('get', () => {
  it('writes the name that the address gives, and says what it wrote', async () => {
    const result = await run('get', CID, '--json')
    expect(result.stdout.trim().split('\n')).toHaveLength(1)
    expect(result.json()).toEqual({
      path: join(out, 'name'),
      size: 10,
      sha256: createHash('sha256').update(content).digest('hex'),
      sources: [{ peer: 'P', blocks: 1, bytes: 10 }],
    })
    expect(await readFile(join(out, 'name'))).toEqual(content)
    expect(await readdir(out)).toEqual(['name'])
  })

  it.each(['../evil', '..', 'a/b', ''])('writes the CID where the name is %j', async (name) => {
    daemon.answer('GET /api/v1/content/resolve', resolvedFile(name))
    expect((await run('get', CID)).code).toBe(0)
    expect(await readdir(out)).toEqual([CID])
    expect((await readdir(folder)).sort()).toEqual(['home', 'out'])
  })

  it('asks for nothing where the place is taken', async () => {
    await writeFile(join(out, 'taken'), 'old')
    const result = await run('get', CID, '-o', 'taken', '--json')
    expect(result.code).toBe(1)
    expect(result.json()).toMatchObject({ error: { code: 'ERR_TARGET_EXISTS' } })
    expect(daemon.asked).toEqual([])
  })

  it('goes on where the connection broke, to a file and to standard output', async () => {
    for (const args of [
      ['-o', 'file'],
      ['-o', '-'],
    ]) {
      daemon.routes[CAT] = (request, response) => {
        const offset = Number(new URL(request.url ?? '', 'http://x').searchParams.get('offset') ?? 0)
        if (offset > 0) {
          response.end(content.subarray(offset))
          return
        }
        response.writeHead(200, { 'content-length': 10 })
        response.write(content.subarray(0, 4), () => setTimeout(() => response.destroy(), 50))
      }
      const result = await run('get', CID, ...args)
      expect(result.code).toBe(0)
      expect(result.stderr).toContain('waiting for it to come back')
      const bytes = args[1] === '-' ? result.stdout : await readFile(join(out, 'file'), 'utf8')
      expect(bytes).toBe('0123456789')
    }
  })

  it('waits for what the job has not got yet, but not for what went away after', async () => {
    let misses = 0
    const miss = { error: { code: 'ERR_NOT_FOUND', kind: 'not-found', message: 'nobody has it' } }
    daemon.routes[CAT] = (_, response) => {
      misses += 1
      if (misses === 1) json(response, miss, 404)
      else response.end(content)
    }
    expect((await run('get', CID, '-o', 'late')).code).toBe(0)
    daemon.routes[CAT] = (_, response) => json(response, miss, 404)
    expect((await run('get', CID, '-o', 'gone')).code).toBe(4)
    expect(await readdir(out)).toEqual(['late'])
  })

  it('tells the failure of the job, and leaves nothing', async () => {
    daemon.routes[CAT] = (_, response) => void response.write(content)
    const error = { code: 'ERR_BLOCK_INVALID', kind: 'verification', message: 'a block \u001B[2J lies' }
    daemon.routes[WAIT] = async (_, response) => {
      await vi.waitFor(async () => expect(await partial()).toHaveLength(1), { timeout: 10_000, interval: 20 })
      json(response, jobOf({ state: 'failed', endedAtMs: 2, error }))
    }
    const result = await run('get', CID)
    expect(result.code).toBe(5)
    expect(result.stderr).toBe('error: a block \\u001b[2J lies\n')
    expect(await readdir(out)).toEqual([])
  })

  it('leaves nothing where the job fails after the last byte', async () => {
    const error = { code: 'ERR_X', kind: 'failed', message: 'not whole after all' }
    daemon.routes[WAIT] = (_, response) => {
      setTimeout(() => json(response, jobOf({ state: 'failed', endedAtMs: 2, error })), 300)
    }
    expect((await run('get', CID, '--json')).json()).toMatchObject({ error: { code: 'ERR_X' } })
    expect(await readdir(out)).toEqual([])
  })

  it('at Ctrl-C cancels the job, leaves nothing and ends with 7', async () => {
    const { child, ended } = await stuck()
    child.kill('SIGINT')
    expect(await ended).toEqual([7, null])
    expect(daemon.asked).toContain(CANCEL)
    expect(await readdir(out)).toEqual([])
  })

  it('at a second Ctrl-C ends at once', async () => {
    const { child, ended } = await stuck()
    daemon.routes[CANCEL] = () => void child.kill('SIGINT')
    child.kill('SIGINT')
    expect(await ended).toEqual([7, null])
  })
})

describe('add', () => {
  it('at Ctrl-C cancels the job', async () => {
    await writeFile(join(out, 'file'), Buffer.alloc(100_000))
    const upload = { id: 'u', jobId: JOB_ID, offset: 0 }
    daemon.answer('POST /api/v1/uploads', { upload, job: jobOf() })
    const sent = new Promise<void>((resolve) => {
      daemon.routes['PATCH /api/v1/uploads/u'] = () => resolve()
    })
    const { child, ended } = spawned('add', 'file')
    await sent
    child.kill('SIGTERM')
    expect(await ended).toEqual([7, null])
    expect(daemon.asked).toContain(CANCEL)
  })

  it('at Ctrl-C while it waits for the job cancels it too; waiting for another’s job does not', async () => {
    daemon.answer('POST /api/v1/gc', jobOf())
    for (const [args, cancelled] of [
      [['gc'], true],
      [['jobs', 'wait', JOB_ID], false],
    ] as const) {
      daemon.asked.length = 0
      const waiting = new Promise<void>((resolve) => {
        daemon.routes[WAIT] = () => resolve()
      })
      const { child, ended } = spawned(...args)
      await waiting
      child.kill('SIGINT')
      expect(await ended).toEqual([7, null])
      expect(daemon.asked.includes(CANCEL)).toBe(cancelled)
    }
  })
})
