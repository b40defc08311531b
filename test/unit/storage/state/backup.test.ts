import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { Key } from 'interface-datastore'
import { pack as createPack } from 'tar-stream'
import { expect, test } from 'vitest'
import { ChunkStatus } from '../../../../protocols/chunk/errors.ts'
import { type OpenStorage, openStorage } from '../../../../src/storage/open.ts'
import {
  backupHome,
  type BackupOptions,
  openState,
  restoreHome,
  type StateDatabase,
} from '../../../../src/storage/state/index.ts'
import { plainSigned, storeColumn, testColumn, UNTIL_MS } from '../../../support/columns.ts'
import { memoryLogger, patience, temporaryFolder } from '../../../support/jobs.ts'
import { testBlock } from '../../../support/storage-blocks.ts'

interface OpenHome extends AsyncDisposable {
  home: string
  state: StateDatabase
  storage: OpenStorage
}

async function openHome(home: string): Promise<OpenHome> {
  await mkdir(home, { recursive: true })
  const log = memoryLogger()
  const state = await openState({ path: join(home, 'state.db'), log })
  const config = {
    quotaBytes: 2 ** 30,
    offerBytes: 2 ** 29,
    durability: 'relaxed' as const,
    memoryBytes: 0,
    scrubRateBytesPerSecond: 2 ** 30,
  }
  const storage = await openStorage({ home, config, state, log })
  return {
    home,
    state,
    storage,
    async [Symbol.asyncDispose]() {
      await storage.close()
      await state.close()
    },
  }
}

async function backupBytes(options: Omit<BackupOptions, 'out' | 'signal'>): Promise<Buffer> {
  const out = new PassThrough()
  const [bytes] = await Promise.all([buffer(out), backupHome({ ...options, out, signal: patience() })])
  return bytes
}

const restoreBytes = (home: string, bytes: Uint8Array) =>
  restoreHome({ home, source: Readable.from(chunked(bytes)), signal: patience() })

function* chunked(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += 60_000) yield bytes.subarray(at, at + 60_000)
}

test('a backup of a working home comes back whole, blocks, pins and state', async () => {
  await using folder = await temporaryFolder()
  const home = join(folder.path, 'home')
  const restored = join(folder.path, 'deep', 'restored')
  const blocks = Array.from({ length: 20 }, (_, n) => testBlock(n, n % 2 === 0 ? 5_000 : 60_000))
  const archive = join(folder.path, 'backup.tar')
  {
    await using open = await openHome(home)
    const { state, storage } = open
    await writeFile(join(home, 'config.yaml'), 'role: worker\n')
    await writeFile(join(home, 'identity.key'), randomBytes(68))
    await writeFile(join(home, 'api.json'), '{}')
    for (const { cid, bytes } of blocks) await storage.blocks.put(cid, bytes)
    for (const { cid } of blocks)
      await storage.pins.add(cid, { kind: 'direct', name: 'kept', signal: patience() })
    await state.write(() => state.db.prepare('INSERT INTO setting VALUES (?, ?)').run('a', '1'))
    await state.datastore.put(new Key('/peers/x'), new Uint8Array([1, 2, 3]))

    // Blocks come and go while the backup runs.
    const busy = new AbortController()
    const writing = (async () => {
      for (let n = 0; !busy.signal.aborted; n++) {
        const { cid, bytes } = testBlock(`late${n}`, 20_000)
        await storage.blocks.put(cid, bytes)
      }
    })()
    const result = await backupHome({
      home,
      state,
      storage,
      out: createWriteStream(archive),
      signal: patience(),
    })
    busy.abort()
    await writing
    expect(result.files).toBeGreaterThanOrEqual(14)
    expect(result.missingBlocks).toBe(0)
    expect((await readdir(home)).filter((name) => name.startsWith('.backup'))).toEqual([])
    await writeFile(join(folder.path, 'key'), await readFile(join(home, 'identity.key')))
  }
  const result = await restoreHome({ home: restored, source: createReadStream(archive), signal: patience() })
  expect(result.bytes).toBeGreaterThan(20 * 30 * 1_000)
  expect((await readdir(restored)).sort()).toEqual([
    'blocks',
    'blocks.db',
    'config.yaml',
    'identity.key',
    'state.db',
  ])
  expect(await readFile(join(restored, 'config.yaml'), 'utf8')).toBe('role: worker\n')
  expect(await readFile(join(restored, 'identity.key'))).toEqual(await readFile(join(folder.path, 'key')))
  expect((await stat(join(restored, 'identity.key'))).mode & 0o777).toBe(0o600)
  expect((await stat(restored)).mode & 0o777).toBe(0o700)
  expect(await readdir(join(folder.path, 'deep'))).toEqual(['restored'])

  await using open = await openHome(restored)
  for (const { cid, bytes } of blocks) expect(await open.storage.blocks.get(cid)).toEqual(bytes)
  expect(open.storage.pins.list({ name: 'kept', limit: 100 }).pins.length).toBe(20)
  expect(open.state.db.prepare('SELECT value FROM setting').pluck().get()).toBe('1')
  expect(await open.state.datastore.get(new Key('/peers/x'))).toEqual(new Uint8Array([1, 2, 3]))
  await open.storage.maintenance.collect({ signal: patience() })
  for (const { cid, bytes } of blocks) expect(await open.storage.blocks.get(cid)).toEqual(bytes)
})

test('what is unpinned and collected while a backup runs still belongs to it', async () => {
  await using folder = await temporaryFolder()
  const home = join(folder.path, 'home')
  const blocks = Array.from({ length: 10 }, (_, n) => testBlock(n, 400_000))
  let bytes: Buffer
  {
    await using open = await openHome(home)
    const { state, storage } = open
    for (const { cid, bytes } of blocks) await storage.blocks.put(cid, bytes)
    for (const { cid } of blocks)
      await storage.pins.add(cid, { kind: 'direct', name: '', signal: patience() })
    const out = new PassThrough({ highWaterMark: 1 })
    const backup = backupHome({ home, state, storage, out, signal: patience() })
    // The first bytes are there, so the snapshot is taken; the rest waits until it is read.
    await once(out, 'readable')
    for (const { cid } of blocks) await storage.pins.remove(cid, { signal: patience() })
    await storage.maintenance.collect({ signal: patience() })
    const [rest, result] = await Promise.all([buffer(out), backup])
    bytes = rest
    expect(result.missingBlocks).toBe(0)
    // Released with the end of the backup.
    const collected = await storage.maintenance.collect({ signal: patience() })
    expect(collected.removedBlocks).toBe(10)
  }
  await restoreBytes(join(folder.path, 'restored'), bytes)
  await using open = await openHome(join(folder.path, 'restored'))
  for (const { cid, bytes } of blocks) expect(await open.storage.blocks.get(cid)).toEqual(bytes)
})

test('a backup without blocks holds identity, configuration and state alone', async () => {
  await using folder = await temporaryFolder()
  const home = join(folder.path, 'home')
  await using open = await openHome(home)
  await open.storage.blocks.put(testBlock(1, 40_000).cid, testBlock(1, 40_000).bytes)
  await writeFile(join(home, 'config.yaml'), '')
  const bytes = await backupBytes({ home, state: open.state, includeBlocks: false })
  await restoreBytes(join(folder.path, 'restored'), bytes)
  expect((await readdir(join(folder.path, 'restored'))).sort()).toEqual(['config.yaml', 'state.db'])
})

test('a backup ends with its reader, with its signal, and leaves nothing behind', async () => {
  await using folder = await temporaryFolder()
  const home = join(folder.path, 'home')
  await using open = await openHome(home)
  const { state, storage } = open
  for (let n = 0; n < 20; n++)
    await storage.blocks.put(testBlock(n, 100_000).cid, testBlock(n, 100_000).bytes)

  const closing = new PassThrough()
  closing.once('data', () => closing.destroy(new Error('the reader went away')))
  await expect(backupHome({ home, state, storage, out: closing, signal: patience() })).rejects.toThrow(
    'went away',
  )

  const stop = new AbortController()
  const out = new PassThrough()
  out.once('data', () => stop.abort(new Error('enough')))
  await expect(backupHome({ home, state, storage, out, signal: stop.signal })).rejects.toMatchObject({
    code: 'ERR_CANCELLED',
  })
  expect(out.destroyed).toBe(true)

  const late = new PassThrough()
  await expect(backupHome({ home, state, storage, out: late, signal: stop.signal })).rejects.toMatchObject({
    code: 'ERR_CANCELLED',
  })
  expect(late.destroyed).toBe(true)
  expect((await readdir(home)).filter((name) => name.startsWith('.backup'))).toEqual([])
  const { removedBlocks } = await storage.maintenance.collect({ signal: patience() })
  expect(removedBlocks).toBe(20)
})

test('a folder that holds anything is left alone', async () => {
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'something'), '')
  await expect(restoreBytes(folder.path, Buffer.alloc(10))).rejects.toMatchObject({
    code: 'ERR_HOME_NOT_EMPTY',
    kind: 'conflict',
  })
  await expect(restoreBytes(join(folder.path, 'something'), Buffer.alloc(10))).rejects.toMatchObject({
    code: 'ERR_HOME_NOT_EMPTY',
  })
  expect(await readdir(folder.path)).toEqual(['something'])
})

test('garbage, halves and changed bytes are refused, and nothing stays', async () => {
  await using folder = await temporaryFolder()
  const home = join(folder.path, 'home')
  let whole: Buffer
  {
    await using open = await openHome(home)
    const { cid, bytes } = testBlock(1, 70_000)
    await open.storage.blocks.put(cid, bytes)
    whole = await backupBytes({ home, state: open.state, storage: open.storage })
  }
  const target = join(folder.path, 'restored')
  const refused = async (bytes: Uint8Array) => {
    await expect(restoreBytes(target, bytes)).rejects.toMatchObject({
      code: 'ERR_BACKUP_INVALID',
      kind: 'verification',
    })
    expect(await readdir(folder.path)).toEqual(['home'])
  }
  await refused(new Uint8Array(0))
  await refused(randomBytes(100_000))
  for (const part of [0.1, 0.5, 0.9, 0.99])
    await refused(whole.subarray(0, Math.floor(whole.byteLength * part)))
  // Up to a whole entry, so that the tar itself is in order.
  await refused(whole.subarray(0, 512 * Math.floor(whole.byteLength / 2_048)))
  const block = testBlock(1, 70_000).bytes
  const at = whole.indexOf(block)
  expect(at).toBeGreaterThan(0)
  const changed = Buffer.from(whole)
  changed[at + 1_000] = (changed[at + 1_000] ?? 0) ^ 1
  await refused(changed)

  const broken = Readable.from(
    (async function* () {
      yield whole.subarray(0, 1_000)
      throw new Error('connection reset')
    })(),
  )
  await expect(restoreHome({ home: target, source: broken, signal: patience() })).rejects.toThrow(
    'connection reset',
  )
  expect(await readdir(folder.path)).toEqual(['home'])
  const stop = new AbortController()
  const silent = new PassThrough()
  silent.write(whole.subarray(0, 5_000))
  setImmediate(() => stop.abort())
  await expect(restoreHome({ home: target, source: silent, signal: stop.signal })).rejects.toMatchObject({
    code: 'ERR_CANCELLED',
  })
  expect(await readdir(folder.path)).toEqual(['home'])

  await mkdir(target)
  await restoreBytes(target, whole)
  expect((await readdir(target)).sort()).toEqual(['blocks', 'blocks.db', 'state.db'])
})

test('the format is the one of docs/backup-format.md, and a newer one is refused', async () => {
  await using folder = await temporaryFolder()
  const page = await readFile(new URL('../../../../docs/backup-format.md', import.meta.url), 'utf8')
  const manifest = /```jsonl\n([^`]*)```/.exec(page)?.[1] ?? ''
  const restore = async (name: string, manifest: string) => {
    const pack = createPack()
    pack.entry({ name: 'config.yaml' }, 'role: worker\n')
    pack.entry({ name: 'state.db' }, '')
    pack.entry({ name: 'manifest.jsonl' }, manifest)
    pack.finalize()
    return restoreHome({ home: join(folder.path, name), source: Readable.from(pack), signal: patience() })
  }
  expect(await restore('home', manifest)).toEqual({ files: 2, bytes: 13 })
  expect((await readdir(join(folder.path, 'home'))).sort()).toEqual(['config.yaml', 'state.db'])
  const refused: [manifest: string, code: string][] = [
    [manifest.replace('"version":3', '"version":4'), 'ERR_BACKUP_NEWER'],
    [manifest.replace('p2pnode-backup', 'tarball'), 'ERR_BACKUP_INVALID'],
    [manifest.replace('"sizeBytes":13', '"sizeBytes":14'), 'ERR_BACKUP_INVALID'],
    [manifest.replace('"files":2', '"files":3'), 'ERR_BACKUP_INVALID'],
    [manifest.split('\n').toSpliced(2, 1).join('\n'), 'ERR_BACKUP_INVALID'],
    [manifest.split('\n').slice(0, -2).join('\n'), 'ERR_BACKUP_INVALID'],
    [`${manifest}{}`, 'ERR_BACKUP_INVALID'],
    ['', 'ERR_BACKUP_INVALID'],
    ['x'.repeat(100_000), 'ERR_BACKUP_INVALID'],
  ]
  for (const [manifest, code] of refused) {
    await expect(restore('other', manifest)).rejects.toMatchObject({ code })
    expect(await readdir(folder.path)).toEqual(['home'])
  }
})

test('no entry leads out of the folder', async () => {
  await using folder = await temporaryFolder()
  const hostile: Parameters<ReturnType<typeof createPack>['entry']>[0][] = [
    { name: '../evil', type: 'file', size: 1 },
    { name: '/tmp/evil', type: 'file', size: 1 },
    { name: 'blocks/../../evil', type: 'file', size: 1 },
    { name: 'blocks/aa/..', type: 'file', size: 1 },
    { name: 'lock', type: 'file', size: 1 },
    { name: 'manifests/../evil.manifest', type: 'file', size: 1 },
    { name: 'manifests/.evil.manifest', type: 'file', size: 1 },
    { name: 'manifests/a/b.manifest', type: 'file', size: 1 },
    { name: 'manifests/evil', type: 'file', size: 1 },
    { name: 'columns/aa/bbbbbbbb', type: 'file', size: 1 },
    { name: 'state.db-wal', type: 'file', size: 1 },
    { name: 'state.db', type: 'symlink', linkname: '/etc/passwd', size: 0 },
    { name: 'state.db', type: 'link', linkname: '/etc/passwd', size: 0 },
    { name: 'blocks', type: 'directory', size: 0 },
  ]
  for (const header of hostile) {
    const pack = createPack()
    if (header.size === 0) pack.entry(header)
    else pack.entry(header, Buffer.from('x'))
    pack.finalize()
    const home = join(folder.path, 'a', 'home')
    await expect(
      restoreHome({ home, source: Readable.from(pack), signal: patience() }),
    ).rejects.toMatchObject({ code: 'ERR_BACKUP_INVALID' })
    expect(await readdir(join(folder.path, 'a'))).toEqual([])
    expect(await readdir(folder.path)).toEqual(['a'])
  }
})

test("the owner's key and manifests are in a backup, what is held for others is not", async () => {
  await using folder = await temporaryFolder()
  const home = join(folder.path, 'home')
  const restored = join(folder.path, 'restored')
  const [held, deleted] = [testColumn('held'), testColumn('deleted')]
  const manifest = randomBytes(1_500_000)
  let bytes: Buffer
  {
    await using open = await openHome(home)
    const { columns } = open.storage
    for (const column of [held, deleted]) await storeColumn(columns, column)
    await columns.bury({ slab: deleted.slab, signed: deleted.deletion().signed, keepUntilMs: UNTIL_MS })
    await writeFile(join(home, 'owner.key'), 'owner')
    await mkdir(join(home, 'manifests'))
    await writeFile(join(home, 'manifests', 'Übersicht (2).manifest'), manifest)
    await writeFile(join(home, 'manifests', 'empty.manifest'), '')
    await writeFile(join(home, 'manifests', '.half.tmp'), 'half')
    bytes = await backupBytes({ home, state: open.state, storage: open.storage })
  }
  await restoreBytes(restored, bytes)
  expect(await readFile(join(restored, 'owner.key'), 'utf8')).toBe('owner')
  expect((await readdir(join(restored, 'manifests'))).sort()).toEqual([
    'empty.manifest',
    'Übersicht (2).manifest',
  ])
  expect(await readFile(join(restored, 'manifests', 'Übersicht (2).manifest'))).toEqual(manifest)
  expect((await stat(join(restored, 'owner.key'))).mode & 0o777).toBe(0o600)
  expect(await readdir(restored)).not.toContain('columns')

  await using open = await openHome(restored)
  const { columns } = open.storage
  expect(columns.usage()).toMatchObject({ columns: 0, usedBytes: 0, tombstones: 1 })
  expect(columns.have([held.slab])).toEqual([])
  expect(columns.isBuried(deleted.slab)).toBe(true)
  await expect(columns.begin(deleted.open)).rejects.toMatchObject({ status: ChunkStatus.tombstoned })
  await storeColumn(columns, held)
  // What peers were told of before the loss is before what comes now.
  const { next } = columns.tombstones(0, 10)
  await columns.bury({ slab: held.slab, signed: held.deletion().signed, keepUntilMs: UNTIL_MS })
  expect(columns.tombstones(next + 1_000, 10).deletions).toEqual([plainSigned(held.deletion().signed)])
})
