import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * Seals what tables hold of secrets: `nonce ‖ ciphertext ‖ tag`, AES-256-GCM with a random nonce. Associated data are the
 * table's name and the row's key, so that no value can be moved to another row.
 *
 * 2^32 values under one key are the bound of random 96-bit nonces (NIST SP 800-38D, section 8.3); a row is sealed a few times.
 */
export class SealedRows {
  readonly #key: Uint8Array
  readonly #unreadable: (table: string, cause?: unknown) => Error

  /** `key` has 32 bytes; `unreadable` makes the error of `open`. */
  constructor(key: Uint8Array, unreadable: (table: string, cause?: unknown) => Error) {
    this.#key = key
    this.#unreadable = unreadable
  }

  seal(table: string, row: string, plain: Uint8Array): Uint8Array {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce)
    cipher.setAAD(associatedData(table, row))
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }

  /** @throws what `unreadable` makes, where it was sealed for another row or under another key */
  open(table: string, row: string, sealed: Uint8Array): Uint8Array {
    const end = sealed.length - TAG_BYTES
    if (end < NONCE_BYTES) throw this.#unreadable(table)
    const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(0, NONCE_BYTES))
    decipher.setAAD(associatedData(table, row)).setAuthTag(sealed.subarray(end))
    try {
      return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, end)), decipher.final()])
    } catch (cause) {
      throw this.#unreadable(table, cause)
    }
  }
}

function associatedData(table: string, row: string): Buffer {
  return Buffer.from(`${table}\0${row}`, 'utf8')
}
