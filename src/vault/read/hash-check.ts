import { createHash } from 'node:crypto'
import { sameBytes } from '../../../protocols/chunk/format/index.ts'
import { vaultInvalid } from './errors.ts'

/**
 * Passes the bytes of a whole file on and compares their SHA-256 in the end. Every segment was authenticated before; this
 * one shows that they are all there, in order, of this very file.
 *
 * @param expected null: not known, nothing is compared
 * @throws ERR_VAULT_INVALID
 */
export async function* checkingHash(
  bytes: AsyncIterable<Uint8Array>,
  expected: Uint8Array | null,
  name: string,
): AsyncGenerator<Uint8Array> {
  if (expected === null) {
    yield* bytes
    return
  }
  const hash = createHash('sha256')
  for await (const part of bytes) {
    hash.update(part)
    yield part
  }
  if (!sameBytes(hash.digest(), expected)) {
    throw vaultInvalid(`the SHA-256 of ${JSON.stringify(name)} is not the one of the file that was put`)
  }
}
