import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'

/** Writes `bytes` of incompressible data: a cipher's key stream, several times as fast as asking for randomness. */
export async function writeRandomFile(path: string, bytes: number): Promise<void> {
  const cipher = createCipheriv('aes-256-ctr', randomBytes(32), randomBytes(16))
  const zeros = Buffer.alloc(4 * 2 ** 20)
  const file = await open(path, 'w')
  try {
    for (let at = 0; at < bytes; at += zeros.length)
      await file.write(cipher.update(zeros.subarray(0, Math.min(zeros.length, bytes - at))))
    await file.sync()
  } finally {
    await file.close()
  }
}

/** What any import must at least do: read the file and hash it. */
export async function hashFile(path: string): Promise<{ sha256: string; durationMs: number }> {
  const startedAtMs = performance.now()
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk as Buffer)
  return { sha256: hash.digest('hex'), durationMs: performance.now() - startedAtMs }
}
