import { createHash } from 'node:crypto'
import { lstat, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { Output } from '../../src/cli/output.ts'

export const never = new AbortController().signal

/** Folders made by a test, removed together. */
export class Folders {
  readonly #paths: string[] = []

  async make(): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), 'p2pnode-cli-'))
    this.#paths.push(path)
    return path
  }

  async remove(): Promise<void> {
    await Promise.all(this.#paths.splice(0).map((path) => rm(path, { recursive: true, force: true })))
  }
}

/** Every path of a tree with type, mode, link target and content: two equal lists are two equal trees. */
export async function describeTree(path: string, name = '.'): Promise<string[]> {
  const stats = await lstat(path)
  if (stats.isSymbolicLink()) return [`${name} -> ${await readlink(path)}`]
  const mode = (stats.mode & 0o7777).toString(8)
  if (!stats.isDirectory()) {
    const hash = createHash('sha256')
      .update(await readFile(path))
      .digest('hex')
    return [`${name} ${mode} ${hash}`]
  }
  const below = await Promise.all(
    (await readdir(path)).sort().map((child) => describeTree(join(path, child), `${name}/${child}`)),
  )
  return [`${name}/ ${mode}`, ...below.flat()]
}

export async function gather(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts)
}

export async function* pieces(bytes: Uint8Array, sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes)
}

/** An Output on streams in memory, and what was written to them. */
export function memoryOutput(options: { json?: boolean; quiet?: boolean; terminal?: boolean } = {}) {
  const stream = () => {
    const through = new PassThrough({ highWaterMark: 64 * 1024 })
    return Object.assign(through, {
      isTTY: options.terminal === true,
      columns: 80,
    }) as unknown as NodeJS.WriteStream & PassThrough
  }
  const stdout = stream()
  const stderr = stream()
  const text = (from: PassThrough) => (): string => (from.read() as Buffer | null)?.toString() ?? ''
  return {
    output: new Output({ json: options.json === true, quiet: options.quiet === true, stdout, stderr }),
    stdout,
    stderr,
    out: text(stdout),
    err: text(stderr),
  }
}
