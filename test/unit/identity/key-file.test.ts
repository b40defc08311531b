import { spawnSync } from 'node:child_process'
import { createCipheriv, scryptSync } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { loadOrCreateIdentity } from '../../../src/identity/index.ts'
import type { SecretFileOptions } from '../../../src/identity/index.ts'
import { formatEncrypted, formatPlain, parseKeyFile } from '../../../src/identity/key-file.ts'

const PAGE = new URL('../../../docs/identity-format.md', import.meta.url)
const VECTOR_SEED = '7e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d'
const VECTOR_PEER = '12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq'
const VECTOR_PASSPHRASE = 'correct horse battery staple'
const isRoot = process.getuid?.() === 0

async function vectors(): Promise<{ plain: string; encrypted: string }> {
  const page = await readFile(PAGE, 'utf8')
  const [plain, encrypted] = [...page.matchAll(/```json\n(.*?)```/gs)].map((match) => match[1] as string)
  return { plain: plain as string, encrypted: encrypted as string }
}

/** The documented file as docs/identity-format.md has it made, but at a cost that a test can pay often. */
function atLowCost(encrypted: string): { peer: string; encryption: Record<string, unknown> } {
  const file = JSON.parse(encrypted) as {
    format: string
    peer: string
    encryption: { r: number; p: number; salt: string; nonce: string }
  }
  const { r, p, salt, nonce } = file.encryption
  const N = 1024
  const key = scryptSync(VECTOR_PASSPHRASE, Buffer.from(salt, 'base64'), 32, { N, r, p })
  const cipher = createCipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64'))
  cipher.setAAD(Buffer.from(`${file.format} 1 ${file.peer} scrypt ${N} ${r} ${p} ${salt} aes-256-gcm`))
  const sealed = [cipher.update(Buffer.from(VECTOR_SEED, 'hex')), cipher.final(), cipher.getAuthTag()]
  return { ...file, encryption: { ...file.encryption, N, sealed: Buffer.concat(sealed).toString('base64') } }
}

async function keyPath(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'p2pnode-identity-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'identity.key')
}

async function keyPathWith(text: string | Uint8Array, mode = 0o600): Promise<string> {
  const path = await keyPath()
  await writeFile(path, text)
  await chmod(path, mode)
  return path
}

const passphrase = (text: string | undefined) => () => Promise.resolve(text)

async function refusal(options: SecretFileOptions): Promise<{ code: string; message: string }> {
  const before = await readFile(options.path).catch(() => undefined)
  const error = await loadOrCreateIdentity(options).then(
    () => expect.unreachable('it was accepted'),
    (reason: unknown) => reason as { code: string; message: string },
  )
  expect(await readFile(options.path).catch(() => undefined)).toEqual(before)
  return error
}

describe('the format of identity.key', () => {
  it('is the documented one, byte by byte', async () => {
    const { plain, encrypted } = await vectors()
    const seed = Buffer.from(VECTOR_SEED, 'hex')
    expect(formatPlain(VECTOR_PEER, seed)).toBe(plain)
    const counting = (size: number) => Uint8Array.from({ length: size }, (_, index) => index)
    expect(await formatEncrypted(VECTOR_PEER, seed, VECTOR_PASSPHRASE, counting)).toBe(encrypted)
  })

  it('reads the documented files', async () => {
    const { plain, encrypted } = await vectors()
    const fromPlain = await loadOrCreateIdentity({ path: await keyPathWith(plain) })
    const fromEncrypted = await loadOrCreateIdentity({
      path: await keyPathWith(encrypted),
      passphrase: passphrase(VECTOR_PASSPHRASE),
    })
    for (const identity of [fromPlain, fromEncrypted]) {
      expect(identity.peerId.toString()).toBe(VECTOR_PEER)
      expect(Buffer.from(identity.privateKey.raw.subarray(0, 32)).toString('hex')).toBe(VECTOR_SEED)
      expect(identity.created).toBe(false)
    }
    expect([fromPlain.encrypted, fromEncrypted.encrypted]).toEqual([false, true])
  })

  it('binds the header: whatever is changed in it, the passphrase no longer opens it', async () => {
    const { encrypted } = await vectors()
    const file = atLowCost(encrypted)
    const whole = await keyPathWith(JSON.stringify(file))
    const opened = await loadOrCreateIdentity({ path: whole, passphrase: passphrase(VECTOR_PASSPHRASE) })
    expect(opened.peerId.toString()).toBe(VECTOR_PEER)
    const other = Buffer.alloc(32, 9).toString('base64')
    const sealed = Buffer.from(file.encryption['sealed'] as string, 'base64')
    sealed[40] = (sealed[40] as number) ^ 1
    const changes = [
      { ...file, peer: '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA' },
      { ...file, encryption: { ...file.encryption, N: 2 } },
      { ...file, encryption: { ...file.encryption, p: 2 } },
      { ...file, encryption: { ...file.encryption, salt: other } },
      { ...file, encryption: { ...file.encryption, sealed: sealed.toString('base64') } },
    ]
    for (const changed of changes) {
      const path = await keyPathWith(JSON.stringify(changed))
      expect((await refusal({ path, passphrase: passphrase(VECTOR_PASSPHRASE) })).code).toBe(
        'ERR_PASSPHRASE_WRONG',
      )
    }
  })

  it('takes a passphrase in any Unicode form', async () => {
    const { encrypted } = await vectors()
    const composed = await formatEncrypted(VECTOR_PEER, Buffer.from(VECTOR_SEED, 'hex'), 'caf\u00e9')
    expect(composed).not.toBe(encrypted)
    const { privateKey } = await loadOrCreateIdentity({
      path: await keyPathWith(composed),
      passphrase: passphrase('cafe\u0301'),
    })
    expect(Buffer.from(privateKey.raw.subarray(0, 32)).toString('hex')).toBe(VECTOR_SEED)
  })

  it('refuses costs that would exhaust the machine', async () => {
    const { encrypted } = await vectors()
    const withCost = (cost: object) => {
      const file = JSON.parse(encrypted) as { encryption: object }
      return JSON.stringify({ ...file, encryption: { ...file.encryption, ...cost } })
    }
    for (const cost of [
      { N: 2 ** 22 },
      { r: 64 },
      { N: 2 ** 30 },
      { p: 17 },
      { N: 1000 },
      { N: 0 },
      { r: 0 },
    ]) {
      const path = await keyPathWith(withCost(cost))
      const { code } = await refusal({ path, passphrase: passphrase(VECTOR_PASSPHRASE) })
      expect({ cost, code }).toEqual({ cost, code: 'ERR_IDENTITY_INVALID' })
    }
  })

  it('reads nothing but whole files of the form, whatever else is there', async () => {
    const { plain } = await vectors()
    const readable = (text: string) => parseKeyFile(text, 'identity.key')
    fc.assert(
      fc.property(fc.nat(plain.length - 2), (length) => {
        expect(() => readable(plain.slice(0, length))).toThrow(/identity\.key is not a usable identity key/)
      }),
    )
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(() => readable(text)).toThrow(expect.objectContaining({ code: 'ERR_IDENTITY_INVALID' }))
      }),
    )
  })
})

describe('loadOrCreateIdentity', () => {
  it('makes a key once, in a private folder and file, and finds it again', async () => {
    const path = join(await keyPath(), '..', 'new', 'identity.key')
    const made = await loadOrCreateIdentity({ path })
    const found = await loadOrCreateIdentity({ path })
    expect(made).toMatchObject({ created: true, encrypted: false })
    expect(found).toMatchObject({ created: false, encrypted: false, did: made.did })
    expect(found.privateKey.equals(made.privateKey)).toBe(true)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(join(path, '..'))).mode & 0o777).toBe(0o700)
    expect(await readdir(join(path, '..'))).toEqual(['identity.key'])
  })

  it('makes a private file under any umask', () => {
    const script = `process.umask(0); const { loadOrCreateIdentity } = await import('${new URL('../../../src/identity/index.ts', import.meta.url)}')
      const { mkdtemp, stat, rm } = await import('node:fs/promises'); const folder = await mkdtemp('${join(tmpdir(), 'p2pnode-umask-')}')
      await loadOrCreateIdentity({ path: folder + '/identity.key' })
      console.log(((await stat(folder + '/identity.key')).mode & 0o777).toString(8)); await rm(folder, { recursive: true })`
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    })
    expect({ stdout, stderr }).toEqual({ stdout: '600\n', stderr: '' })
  })

  it('makes one key where several start at once', async () => {
    const path = await keyPath()
    const all = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateIdentity({ path })))
    expect(new Set(all.map(({ did }) => did)).size).toBe(1)
    expect(all.filter(({ created }) => created)).toHaveLength(1)
    expect(await readdir(join(path, '..'))).toEqual(['identity.key'])
  })

  it('sweeps away the temporary key of a crashed start', async () => {
    const path = await keyPath()
    await writeFile(join(path, '..', '.identity.key.crashed.tmp'), 'half a key')
    await loadOrCreateIdentity({ path })
    expect(await readdir(join(path, '..'))).toEqual(['identity.key'])
  })

  it('encrypts a new key where a passphrase is given, and opens it only with that', async () => {
    const path = await keyPath()
    const made = await loadOrCreateIdentity({ path, passphrase: passphrase('hunter2') })
    expect(made).toMatchObject({ created: true, encrypted: true })
    const secret = Buffer.from(made.privateKey.raw.subarray(0, 32))
    const text = await readFile(path, 'utf8')
    expect(text).not.toContain(secret.toString('base64'))
    expect((await loadOrCreateIdentity({ path, passphrase: passphrase('hunter2') })).did).toBe(made.did)
    const wrong = await refusal({ path, passphrase: passphrase('hunter3') })
    expect(wrong).toMatchObject({ code: 'ERR_PASSPHRASE_WRONG', kind: 'denied' })
    expect(wrong.message).not.toContain('hunter')
    expect((await refusal({ path })).code).toBe('ERR_PASSPHRASE_NEEDED')
    expect((await refusal({ path, passphrase: passphrase(undefined) })).message).toContain(
      'P2PNODE_PASSPHRASE',
    )
    expect((await refusal({ path, passphrase: passphrase('') })).code).toBe('ERR_PASSPHRASE_NEEDED')
  })

  it('tells whoever asks for the passphrase what it is for', async () => {
    const path = await keyPath()
    const purposes: string[] = []
    const ask = (purpose: string) => {
      purposes.push(purpose)
      return Promise.resolve('p')
    }
    await loadOrCreateIdentity({ path, passphrase: ask })
    await loadOrCreateIdentity({ path, passphrase: ask })
    expect(purposes).toEqual(['create', 'open'])
  })

  it('with "encrypt" never leaves a plain key, and keeps the identity', async () => {
    const path = await keyPath()
    expect((await refusal({ path, encrypt: true })).code).toBe('ERR_PASSPHRASE_NEEDED')
    expect(await readdir(join(path, '..'))).toEqual([])
    const { did } = await loadOrCreateIdentity({ path })
    expect((await refusal({ path, encrypt: true })).code).toBe('ERR_PASSPHRASE_NEEDED')
    const now = await loadOrCreateIdentity({ path, encrypt: true, passphrase: passphrase('p') })
    expect(now).toMatchObject({ did, created: false, encrypted: true })
    expect(await readFile(path, 'utf8')).not.toContain('"key"')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await loadOrCreateIdentity({ path, encrypt: true, passphrase: passphrase('p') })).did).toBe(did)
  })

  it.each([
    ['an empty file', ''],
    ['a truncated file', '{"format": "p2pnode-identity", "version": 1, "peer": "12D3'],
    ['binary garbage', Uint8Array.from({ length: 300 }, (_, index) => (index * 37) % 256)],
    [
      "another program's key",
      '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n',
    ],
    [
      'too short a key',
      JSON.stringify({ format: 'p2pnode-identity', version: 1, peer: VECTOR_PEER, key: 'AAAA' }),
    ],
    ['no key', JSON.stringify({ format: 'p2pnode-identity', version: 1, peer: VECTOR_PEER })],
    ['a newer version', JSON.stringify({ format: 'p2pnode-identity', version: 2, peer: VECTOR_PEER })],
    ['the key of another peer', formatPlain(VECTOR_PEER, new Uint8Array(32))],
    ['too large a file', `{"format": "p2pnode-identity"${' '.repeat(5000)}}`],
  ])('refuses %s, and leaves it as it is', async (_, text) => {
    const path = await keyPathWith(text)
    const { code, message } = await refusal({ path })
    expect(code).toBe('ERR_IDENTITY_INVALID')
    expect(message).toContain(path)
  })

  it('never repeats what is in a file that it cannot read', async () => {
    const { plain } = await vectors()
    const path = await keyPathWith(plain.slice(0, -4))
    expect((await refusal({ path })).message).not.toContain('fggwYXxKfeg5')
  })

  it.each([0o644, 0o640, 0o660, 0o601, 0o777])(
    'refuses mode %o with the command that mends it',
    async (mode) => {
      const { plain } = await vectors()
      const path = await keyPathWith(plain, mode)
      const { code, message } = await refusal({ path })
      expect(code).toBe('ERR_IDENTITY_EXPOSED')
      const fix = /run: (chmod 600 '.*')$/.exec(message)?.[1] as string
      expect(spawnSync('sh', ['-c', fix]).status).toBe(0)
      expect((await loadOrCreateIdentity({ path })).peerId.toString()).toBe(VECTOR_PEER)
    },
  )

  it('gives a command that works for any path', async () => {
    const { plain } = await vectors()
    const path = join(await keyPath(), '..', "it's $HOME `x`.key")
    await writeFile(path, plain)
    await chmod(path, 0o644)
    const { message } = await refusal({ path })
    const fix = message.slice(message.indexOf('chmod'))
    expect(spawnSync('sh', ['-c', fix]).status).toBe(0)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('accepts a more private mode and a link to a private file, and judges a link by its target', async () => {
    const { plain } = await vectors()
    const target = await keyPathWith(plain, 0o400)
    const link = `${target}.link`
    await symlink(target, link)
    expect((await loadOrCreateIdentity({ path: link })).peerId.toString()).toBe(VECTOR_PEER)
    await chmod(target, 0o444)
    expect((await refusal({ path: link })).code).toBe('ERR_IDENTITY_EXPOSED')
  })

  it('refuses a dangling link, a folder and a pipe, without hanging', async () => {
    const dangling = await keyPath()
    await symlink(join(dangling, '..', 'nowhere'), dangling)
    expect((await refusal({ path: dangling })).message).toContain('symbolic link to nothing')
    const folder = await keyPath()
    await mkdir(folder)
    expect((await refusal({ path: folder })).code).toBe('ERR_IDENTITY_INVALID')
    const pipe = await keyPath()
    expect(spawnSync('mkfifo', ['-m', '600', pipe]).status).toBe(0)
    await expect(loadOrCreateIdentity({ path: pipe })).rejects.toMatchObject({ code: 'ERR_IDENTITY_INVALID' })
  })

  it.skipIf(!isRoot)('refuses the file of another user', async () => {
    const { plain } = await vectors()
    const path = await keyPathWith(plain)
    expect(spawnSync('chown', ['12345', path]).status).toBe(0)
    expect(await refusal({ path })).toMatchObject({
      code: 'ERR_IDENTITY_EXPOSED',
      message: expect.stringContaining('user 12345'),
    })
  })

  it.skipIf(isRoot)('says so where it may not read or write', async () => {
    const path = await keyPath()
    await chmod(join(path, '..'), 0o500)
    expect((await refusal({ path })).code).toBe('ERR_IDENTITY_UNREADABLE')
    await chmod(join(path, '..'), 0o700)
  })
})
