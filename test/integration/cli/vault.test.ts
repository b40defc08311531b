import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { buffer, json as jsonBody } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Folders } from '../../support/cli.ts'
import { doneJob, JOB_ID, jobOf, json, ScriptedDaemon } from '../../support/cli-daemon.ts'
import { type CommandOptions, p2pnode } from '../../support/daemon.ts'

const LINK = `p2pnode:${'R'.repeat(97)}`
const CAT = 'POST /api/v1/vault/cat'
const RESOLVE = 'POST /api/v1/vault/resolve'
const OBJECTS = 'GET /api/v1/vault/objects'
const WAIT = `GET /api/v1/jobs/${JOB_ID}/wait`
const content = Buffer.from('0123456789')
const sha256 = createHash('sha256').update(content).digest('hex')

const folders = new Folders()
let daemon: ScriptedDaemon
let home: string
let out: string
/** Bodies of what was posted, by route. */
let posted: Record<string, unknown[]>

const resolved = (changes: object = {}): object => ({
  link: LINK,
  name: 'holiday.jpg',
  kind: 'file',
  type: 'file',
  size: content.length,
  sha256,
  mime: 'image/jpeg',
  createdAtMs: 1,
  redundancy: 'rs:4/8',
  ...changes,
})

const object = (changes: object = {}): object => ({
  id: 'o1',
  name: 'holiday',
  version: 1,
  kind: 'file',
  size: 10,
  stored: 20,
  redundancy: 'rs:4/8',
  link: LINK,
  createdAtMs: 1,
  expiresAtMs: 2,
  state: 'stored',
  health: 'healthy',
  healthAtMs: 3,
  ...changes,
})

/** Answers a POST and keeps what it asked. */
function script(route: string, answer: (body: never, response: ServerResponse) => void): void {
  daemon.routes[route] = async (request: IncomingMessage, response) => {
    const body = await jsonBody(request)
    posted[route] = [...(posted[route] ?? []), body]
    answer(body as never, response)
  }
}

const fail = (code: string, kind: string, status: number) => (_: never, response: ServerResponse) =>
  json(response, { error: { code, kind, message: `about ${code}`, details: {} } }, status)

beforeEach(async () => {
  const folder = await folders.make()
  home = join(folder, 'home')
  out = join(folder, 'out')
  await mkdir(out)
  posted = {}
  daemon = new ScriptedDaemon()
  script(RESOLVE, (_, response) => json(response, resolved()))
  script(CAT, ({ offset = 0 }: { offset?: number }, response) => void response.end(content.subarray(offset)))
  await daemon.start(home)
})
afterEach(async () => {
  await daemon.stop()
  await folders.remove()
})

const run = (args: string[], options: CommandOptions = {}) =>
  p2pnode(['--home', home, ...args], { cwd: out, ...options })

describe('get of a link', () => {
  it('writes the name that its owner gave, verified as a whole, and tells the sources', async () => {
    const sources = [{ peer: 'P', pieces: 4, bytes: 40, failures: 0 }]
    script(CAT, ({ read }: { read: string }, response) => {
      daemon.answer(`GET /api/v1/vault/reads/${read}`, { sources })
      response.end(content)
    })
    const result = await run(['get', LINK, '--json'])
    expect(result.stdout.trim().split('\n')).toHaveLength(1)
    expect(result.json()).toEqual({ path: join(out, 'holiday.jpg'), size: 10, sha256, sources })
    expect(await readdir(out)).toEqual(['holiday.jpg'])
    expect(daemon.asked.join()).not.toContain(LINK)
  })

  it('keeps nothing of what is not what its owner put, and ends with 5', async () => {
    script(RESOLVE, (_, response) => json(response, resolved({ sha256: '00'.repeat(32) })))
    const result = await run(['get', LINK, '--json'])
    expect([result.code, result.json()]).toMatchObject([5, { error: { code: 'ERR_VAULT_HASH' } }])
    expect(await readdir(out)).toEqual([])
    expect((await run(['get', LINK, '-o', '-'])).code).toBe(5)
  })

  it('goes on where the connection broke', async () => {
    script(CAT, ({ offset }: { offset: number }, response) => {
      if (offset > 0) return void response.end(content.subarray(offset))
      response.writeHead(200, { 'content-length': 10 })
      return void response.write(content.subarray(0, 4), () => setTimeout(() => response.destroy(), 50))
    })
    const result = await run(['get', LINK, '-o', 'file'])
    expect(result.code).toBe(0)
    expect(await readFile(join(out, 'file'))).toEqual(content)
    expect(posted[CAT]).toMatchObject([{ offset: 0 }, { offset: 4 }])
  })

  it.each([
    ['ERR_VAULT_PIECES', 'not-found', 404, 4],
    ['ERR_VAULT_NOT_FOUND', 'not-found', 404, 4],
    ['ERR_LINK_CHECKSUM', 'usage', 400, 2],
    ['ERR_LINK_POWER', 'denied', 403, 6],
    ['ERR_VAULT_INVALID', 'verification', 422, 5],
  ])('tells %s by its exit code', async (code, kind, status, exitCode) => {
    script(RESOLVE, fail(code, kind, status))
    const early = await run(['get', LINK, '--json'])
    expect([early.code, early.json()]).toMatchObject([exitCode, { error: { code } }])
    script(RESOLVE, (_, response) => json(response, resolved()))
    script(CAT, fail(code, kind, status))
    expect((await run(['get', LINK])).code).toBe(exitCode)
    expect(await readdir(out)).toEqual([])
  })

  it('asks for nothing where the place is taken', async () => {
    await writeFile(join(out, 'taken'), 'old')
    const result = await run(['get', LINK, '-o', 'taken', '--json'])
    expect([result.code, result.json()]).toMatchObject([1, { error: { code: 'ERR_TARGET_EXISTS' } }])
    expect(daemon.asked).toEqual([])
    expect((await run(['get', LINK, '-o', 'taken', '--force'])).code).toBe(0)
    expect((await run(['get', LINK, '--detach'])).code).toBe(2)
  })

  it('never takes a name for a path', async () => {
    script(RESOLVE, (_, response) => json(response, resolved({ name: '../evil' })))
    expect((await run(['get', LINK])).code).toBe(0)
    expect(await readdir(out)).toEqual(['private-file'])
  })

  it('takes a path in the tree, and a .manifest file for a link', async () => {
    await run(['get', `${LINK}/a/b.txt`, '-o', 'part'])
    expect(posted[RESOLVE]).toEqual([{ link: LINK, path: 'a/b.txt' }])
    await writeFile(join(out, 'it.manifest'), 'sealed')
    let sent = Buffer.alloc(0)
    daemon.routes['POST /api/v1/vault/manifests'] = async (request, response) => {
      sent = await buffer(request)
      json(response, { link: LINK })
    }
    expect((await run(['cat', 'it.manifest', '--offset', '3', '--length', '4'])).stdout).toBe('3456789')
    expect(sent.toString()).toBe('sealed')
    expect(posted[CAT]?.at(-1)).toMatchObject({ offset: 3, length: 4 })
    expect((await run(['get', 'none.manifest'])).code).toBe(4)
  })
})

describe('put', () => {
  const result = {
    id: 'o1',
    link: LINK,
    manifest: '/home/manifests/x.manifest',
    size: 10,
    sha256,
    stored: 20,
    redundancy: 'rs:4/8',
    holders: 8,
    expires: '2027-01-01T00:00:00.000Z',
    files: 1,
    missing: 0,
  }

  beforeEach(async () => {
    await writeFile(join(out, 'file'), content)
    script('POST /api/v1/uploads', (_, response) =>
      json(response, { upload: { id: 'u', jobId: JOB_ID, offset: 0 }, job: jobOf() }),
    )
    daemon.routes['PATCH /api/v1/uploads/u'] = async (request, response) => {
      const { length } = await buffer(request)
      json(response, { id: 'u', jobId: JOB_ID, offset: length })
    }
    script('POST /api/v1/uploads/u/complete', (_, response) => json(response, {}))
    daemon.answer(WAIT, doneJob(result))
  })

  it('ends in the line of the contract, and asks for what was chosen', async () => {
    const put = await run(['put', 'file', '--redundancy', 'rs:4/8', '--name', 'holiday', '--json'])
    const { link, manifest, size, stored, redundancy, holders, expires } = result
    expect(put.json()).toEqual({ link, manifest, size, sha256, stored, redundancy, holders, expires })
    expect(posted['POST /api/v1/uploads']).toMatchObject([
      {
        kind: 'put',
        size: 10,
        params: {
          source: 'file',
          fileName: 'file',
          name: 'holiday',
          redundancy: 'rs:4/8',
          allowDegraded: false,
          preserveMode: false,
        },
      },
    ])
  })

  it('writes a manifest that only its owner can read, and never over another file', async () => {
    script('POST /api/v1/vault/manifests/file', (_, response) => void response.end('sealed'))
    const put = await run(['put', 'file', '--manifest', 'it.manifest'])
    expect(put.stdout).toBe(`${LINK}\n`)
    expect(put.stderr).toContain('2027-01-01')
    expect(await readFile(join(out, 'it.manifest'), 'utf8')).toBe('sealed')
    expect((await stat(join(out, 'it.manifest'))).mode & 0o777).toBe(0o600)
    daemon.asked.length = 0
    expect((await run(['put', 'file', '--manifest', 'it.manifest'])).code).toBe(1)
    expect(daemon.asked).toEqual([])
  })

  it('warns of missing columns', async () => {
    daemon.answer(WAIT, doneJob({ ...result, missing: 3 }))
    const put = await run(['put', 'file', '--allow-degraded', '--json'])
    expect(put.json()).toMatchObject({ missing: 3 })
    expect(put.stderr).toContain('3 columns')
  })

  it.each(['rs:8/8', 'rs:0/4', 'copies:0', 'copies:65', 'rs:4', 'much'])(
    'refuses %s before it reads',
    async (wrong) => {
      expect((await run(['put', 'missing', '--redundancy', wrong])).code).toBe(2)
      expect(daemon.asked).toEqual([])
    },
  )
})

describe('the owner’s files', () => {
  it('ls shows names, versions and health; links only where they are asked for', async () => {
    daemon.answer(OBJECTS, { objects: [object(), object({ version: 2, health: 'degraded' })] })
    daemon.answer('GET /api/v1/pins', { pins: [], nextAfterId: null })
    const plain = await run(['ls'])
    expect(plain.stdout).toMatch(/holiday +2 +10 B +rs:4\/8 +degraded +19(69|70)-/)
    expect(plain.stdout).not.toContain(LINK)
    expect((await run(['ls', '--links'])).stdout).toContain(LINK)
    expect((await run(['ls', '--json'])).json()).toMatchObject({ objects: [{ link: LINK }, {}], pins: [] })
    daemon.routes[OBJECTS] = (_, response) =>
      json(response, { error: { code: 'ERR_VAULT_ABSENT', kind: 'unavailable', message: 'none' } }, 503)
    expect((await run(['ls', '--json'])).json()).toEqual({ objects: [], pins: [] })
  })

  it('rm takes a link or a name, but not one that means several', async () => {
    daemon.answer(OBJECTS, { objects: [object(), object({ version: 2, link: `${LINK}2` })] })
    script('POST /api/v1/vault/rm', (_, response) => json(response, jobOf({ kind: 'rm' })))
    daemon.answer(WAIT, doneJob({ name: 'holiday', version: 2, confirmed: 6, pending: 2 }))
    const several = await run(['rm', 'holiday', '--json'])
    expect([several.code, several.json()]).toMatchObject([2, { error: { code: 'ERR_OBJECT_AMBIGUOUS' } }])
    expect((await run(['rm', 'nothing'])).code).toBe(4)
    const removed = await run(['rm', 'holiday@2'])
    expect(removed.stdout).toContain('6 columns confirmed; 2 are with holders that are away')
    expect((await run(['rm', LINK])).code).toBe(0)
    expect(posted['POST /api/v1/vault/rm']).toEqual([{ link: `${LINK}2` }, { link: LINK }])
  })

  it('share and health say what they were asked', async () => {
    script('POST /api/v1/vault/share', ({ power }: { power: string }, response) =>
      json(response, { text: `for ${power}` }),
    )
    expect((await run(['share', LINK])).stdout).toBe('for read\n')
    expect((await run(['share', LINK, '--verify-only', '--json'])).json()).toEqual({
      link: 'for verify',
      power: 'verify',
    })
    expect((await run(['share', LINK, '--owner'])).stdout).toBe('for owner\n')
    expect((await run(['share', LINK, '--owner', '--verify-only'])).code).toBe(2)
    const slab = { id: 'ab'.repeat(32), k: 4, n: 8, live: 6, lastAudit: null, margin: 2, columns: [] }
    script('POST /api/v1/vault/health', (_, response) => json(response, { state: 'degraded', slabs: [slab] }))
    expect((await run(['health', LINK, '--json'])).json()).toMatchObject({ state: 'degraded', slabs: [slab] })
    expect((await run(['health', LINK, '--fresh'])).stdout).toContain('6 of 8')
    expect(posted['POST /api/v1/vault/health']).toMatchObject([{ fresh: false }, { fresh: true }])
  })
})

describe('the owner’s state', () => {
  it('is exported for its owner alone, encrypted where a passphrase is given', async () => {
    script('POST /api/v1/vault/state/export', (_, response) => void response.end('state'))
    const plain = await run(['state', 'export', 'a.state'])
    expect(plain.stderr).toContain('P2PNODE_PASSPHRASE')
    const env = { P2PNODE_PASSPHRASE: 'naïve words' }
    expect((await run(['state', 'export', 'b.state'], { env })).stderr).toBe('')
    expect(posted['POST /api/v1/vault/state/export']).toEqual([{}, { passphrase: 'naïve words' }])
    expect((await stat(join(out, 'a.state'))).mode & 0o777).toBe(0o600)
    expect((await run(['state', 'export', 'a.state'])).code).toBe(1)
  })

  it('is imported with its passphrase, and recovered by words from standard input', async () => {
    await writeFile(join(out, 'a.state'), 'state')
    let header: string | string[] | undefined
    daemon.routes['POST /api/v1/vault/state/import'] = async (request, response) => {
      header = request.headers['state-passphrase']
      expect((await buffer(request)).toString()).toBe('state')
      json(response, { objects: 2 })
    }
    const imported = await run(['state', 'import', 'a.state'], { env: { P2PNODE_PASSPHRASE: 'naïve' } })
    expect([imported.code, header]).toEqual([0, encodeURIComponent('naïve')])
    expect((await run(['state', 'import', 'none'])).code).toBe(4)
    script('POST /api/v1/vault/state/recover', (_, response) => json(response, { objects: 2, version: 7 }))
    expect((await run(['state', 'recover'], { input: ' one\n two ' })).code).toBe(0)
    expect(posted['POST /api/v1/vault/state/recover']).toEqual([{ phrase: 'one two' }])
    expect((await run(['state', 'recover'], { input: '' })).code).toBe(2)
    daemon.answer('POST /api/v1/vault/state/phrase', { phrase: 'one two' })
    expect((await run(['state', 'phrase'])).stdout).toBe('one two\n')
  })
})
