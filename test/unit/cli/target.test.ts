import { chmod, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Target } from '../../../src/cli/files/target.ts'
import { FileWriter } from '../../../src/cli/files/write-file.ts'
import { Folders } from '../../support/cli.ts'

const folders = new Folders()
let folder: string
beforeEach(async () => {
  folder = await folders.make()
})
afterEach(() => folders.remove())

async function put(target: Target, text: string): Promise<void> {
  const writer = await FileWriter.create(target.partialPath)
  await writer.write(Buffer.from(text))
  await writer.end()
}

describe('where a download ends up', () => {
  it('is empty until it is whole', async () => {
    const target = await Target.at(join(folder, 'file'), { force: false })
    await put(target, 'new')
    expect(await readdir(folder)).not.toContain('file')
    await target.commit()
    expect(await readdir(folder)).toEqual(['file'])
  })

  it('is left alone without force, also what came there meanwhile', async () => {
    const path = join(folder, 'file')
    const target = await Target.at(path, { force: false })
    await put(target, 'new')
    await writeFile(path, 'old')
    await expect(target.commit()).rejects.toMatchObject({ code: 'ERR_TARGET_EXISTS', kind: 'conflict' })
    await target.discard()
    expect(await readdir(folder)).toEqual(['file'])
    expect(await readFile(path, 'utf8')).toBe('old')
    await expect(Target.at(path, { force: false })).rejects.toMatchObject({ code: 'ERR_TARGET_EXISTS' })
  })

  it('is replaced with force: a file by a file, a folder by a folder, a link itself', async () => {
    for (const name of ['file', 'link', 'folder']) {
      const path = join(folder, name)
      if (name === 'file') await writeFile(path, 'old')
      if (name === 'link') await symlink(join(folder, 'file'), path)
      if (name === 'folder') await mkdir(join(path, 'old'), { recursive: true })
      const target = await Target.at(path, { force: true })
      if (name === 'folder') await mkdir(join(target.partialPath, 'new'), { recursive: true })
      else await put(target, `new ${name}`)
      await target.commit()
    }
    expect((await readdir(folder)).sort()).toEqual(['file', 'folder', 'link'])
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('new file')
    expect(await readFile(join(folder, 'link'), 'utf8')).toBe('new link')
    expect(await readdir(join(folder, 'folder'))).toEqual(['new'])
  })

  it('is never a folder replaced by a file', async () => {
    await mkdir(join(folder, 'folder/precious'), { recursive: true })
    const target = await Target.at(join(folder, 'folder'), { force: true })
    await put(target, 'new')
    await expect(target.commit()).rejects.toMatchObject({ code: 'ERR_TARGET_KIND', kind: 'conflict' })
    await target.discard()
    expect(await readdir(folder)).toEqual(['folder'])
    expect(await readdir(join(folder, 'folder'))).toEqual(['precious'])
  })

  it('is never the home, the working folder or what holds them', async () => {
    for (const path of [homedir(), process.cwd(), dirname(process.cwd()), '/']) {
      await expect(Target.at(path, { force: true })).rejects.toMatchObject({
        code: 'ERR_TARGET_DANGEROUS',
        kind: 'usage',
      })
    }
  })

  it('needs a folder to lie in', async () => {
    await writeFile(join(folder, 'file'), '')
    for (const path of [join(folder, 'missing/file'), join(folder, 'file/below')])
      await expect(Target.at(path, { force: false })).rejects.toMatchObject({ code: 'ERR_TARGET_FOLDER' })
  })

  it('has a partial name that fits the disk, for the longest names of any script', async () => {
    for (const name of ['x'.repeat(255), '日'.repeat(85), `x${'é'.repeat(127)}`]) {
      const target = await Target.at(join(folder, name), { force: true })
      await put(target, name)
      await target.commit()
      expect(await readFile(join(folder, name), 'utf8')).toBe(name)
    }
    const tooLong = await Target.at(join(folder, 'x'.repeat(256)), { force: false }).catch((error) => error)
    expect(tooLong).toMatchObject({ code: 'ERR_TARGET_NAME', kind: 'usage' })
  })

  it('is cleared of a partial tree whose folders forbid that', async () => {
    const target = await Target.at(join(folder, 'tree'), { force: false })
    await mkdir(join(target.partialPath, 'a/b'), { recursive: true })
    await writeFile(join(target.partialPath, 'a/b/file'), '')
    await symlink(folder, join(target.partialPath, 'a/link'))
    expect(await readlink(join(target.partialPath, 'a/link'))).toBe(folder)
    for (const path of ['a/b', 'a', '']) await chmod(join(target.partialPath, path), 0o555)
    await target.discard()
    expect(await readdir(folder)).toEqual([])
  })
})

describe('a file being written', () => {
  it('is hashed and whole, from pieces of any size', async () => {
    const path = join(folder, 'file')
    const writer = await FileWriter.create(path)
    const whole = Buffer.alloc(3_500_001, 'some content ')
    for (let at = 0; at < whole.length; at += 65_537) {
      await writer.write(whole.subarray(at, at + 65_537))
      expect(writer.sizeBytes).toBe(Math.min(whole.length, at + 65_537))
    }
    const { createHash } = await import('node:crypto')
    expect(await writer.end()).toEqual({
      sha256: createHash('sha256').update(whole).digest('hex'),
      sizeBytes: whole.length,
    })
    expect((await readFile(path)).equals(whole)).toBe(true)
    await writer.abandon()
  })

  it('has its mode from the first byte on', async () => {
    const path = join(folder, 'secret')
    const writer = await FileWriter.create(path, { mode: 0o600, hash: false })
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await writer.end({ sync: true, mode: 0o640 })).toEqual({ sha256: '', sizeBytes: 0 })
    expect((await stat(path)).mode & 0o777).toBe(0o640)
  })

  it('never replaces what is there, nor follows a link', async () => {
    await symlink(join(folder, 'elsewhere'), join(folder, 'link'))
    await expect(FileWriter.create(join(folder, 'link'))).rejects.toMatchObject({ code: 'EEXIST' })
    expect(await readdir(folder)).toEqual(['link'])
  })
})
