import { chmod, mkdir, open, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract, type Header } from 'tar-stream'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { diskError } from './target.ts'

/** Files up to this size are taken whole and written beside each other; larger ones as they arrive. */
const SMALL_FILE_BYTES = 256 * 1024
/** Small files being written at once: at most 4 MiB of them in memory. */
const MAX_WRITES = 16
/** A link's target longer than this cannot be created on Linux (PATH_MAX). */
const MAX_TARGET_BYTES = 4096

export interface WrittenTree {
  sizeBytes: number
  files: number
}

function refuse(name: string, why: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_TREE_INVALID',
    'verification',
    `the tree holds ${JSON.stringify(name)}, ${why}; nothing was written`,
    {
      details: { name },
    },
  )
}

/** The path of an entry below the tree's own root, whose name is the first segment. */
function segmentsOf(name: string): string[] {
  const trimmed = name.endsWith('/') ? name.slice(0, -1) : name
  const segments = trimmed.split('/')
  if (
    segments.some(
      (segment) => segment === '' || segment === '.' || segment === '..' || segment.includes('\0'),
    )
  ) {
    throw refuse(name, 'which is not a path below it')
  }
  return segments.slice(1)
}

/**
 * Unpacks a tar stream whose entries all lie below one root into `rootPath`, which must not exist.
 *
 * Links are made last and modes of folders after them: nothing is ever written through a link of the same tree, and a folder
 * without write permission can still be filled. Modes are set as they are, whatever the umask.
 *
 * @throws ERR_TREE_INVALID, ERR_TARGET_FULL, ERR_TARGET_DENIED
 */
export async function writeTree(
  source: AsyncIterable<Uint8Array>,
  rootPath: string,
  options: { signal: AbortSignal; onBytes?: (bytes: number) => void },
): Promise<WrittenTree> {
  const folders: { path: string; mode: number }[] = []
  const links: { path: string; target: string }[] = []
  const writes = new Set<Promise<void>>()
  let failure: unknown
  let sizeBytes = 0
  let files = 0

  const addWrite = async (write: Promise<void>): Promise<void> => {
    const tracked = write
      .catch((error: unknown) => {
        failure ??= error
      })
      .finally(() => writes.delete(tracked))
    writes.add(tracked)
    if (writes.size >= MAX_WRITES) await Promise.race(writes)
    if (failure !== undefined) throw failure
  }

  const writeSmall = async (path: string, mode: number, content: Uint8Array[]): Promise<void> => {
    await writeFile(path, Buffer.concat(content), { flag: 'wx', mode })
    await chmod(path, mode)
  }

  const writeLarge = async (
    path: string,
    mode: number,
    content: AsyncIterable<Uint8Array>,
  ): Promise<void> => {
    const handle = await open(path, 'wx', mode)
    try {
      for await (const chunk of content) {
        sizeBytes += chunk.length
        options.onBytes?.(chunk.length)
        await handle.write(chunk)
      }
      await handle.chmod(mode)
    } finally {
      await handle.close()
    }
  }

  const writeEntry = async (header: Header, content: AsyncIterable<Uint8Array>): Promise<void> => {
    const path = join(rootPath, ...segmentsOf(header.name))
    const mode = (header.mode ?? 0o644) & 0o7777
    if (header.type === 'directory') {
      await mkdir(path, { mode: 0o700 })
      folders.push({ path, mode })
    } else if (header.type === 'symlink') {
      const target = header.linkname ?? ''
      if (target === '' || Buffer.byteLength(target) > MAX_TARGET_BYTES || target.includes('\0'))
        throw refuse(header.name, 'a link to nowhere')
      links.push({ path, target })
    } else if (header.type === 'file') {
      files += 1
      if ((header.size ?? 0) > SMALL_FILE_BYTES) {
        await writeLarge(path, mode, content)
        return
      }
      const parts: Uint8Array[] = []
      for await (const chunk of content) {
        sizeBytes += chunk.length
        options.onBytes?.(chunk.length)
        parts.push(chunk)
      }
      await addWrite(writeSmall(path, mode, parts))
    } else {
      throw refuse(header.name, `a ${header.type ?? 'thing'} that cannot be created`)
    }
  }

  const tar = extract()
  try {
    const unpacking = (async () => {
      for await (const entry of tar) {
        const header = entry.header
        if (header.type === 'directory' || header.type === 'symlink') entry.resume()
        await writeEntry(header, entry as AsyncIterable<Uint8Array>)
        if (header.type === 'directory' || header.type === 'symlink') continue
        entry.resume()
      }
    })()
    unpacking.catch((error: unknown) => tar.destroy(error as Error))
    await Promise.all([
      pipeline(Readable.from(source, { objectMode: false }), tar, { signal: options.signal }),
      unpacking,
    ])
    await Promise.all(writes)
    if (failure !== undefined) throw failure
    for (const link of links) await symlink(link.target, link.path)
    for (const folder of folders.reverse()) await chmod(folder.path, folder.mode)
  } catch (error) {
    await Promise.all(writes)
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      throw new P2pnodeError(
        'ERR_TREE_INVALID',
        'verification',
        'the tree holds one name twice; nothing was written',
        { cause: error },
      )
    }
    throw diskError(failure ?? error, rootPath)
  }
  return { sizeBytes, files }
}
