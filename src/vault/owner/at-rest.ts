import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { stateAtRestKey } from '../codec/index.ts'
import { stateUnreadable } from './errors.ts'

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const EMPTY = new Uint8Array(0)

/**
 * Seals what the owner's tables hold of secrets: `nonce ‖ ciphertext ‖ tag`, AES-256-GCM with a random nonce. Associated
 * data are the table's name and the row's key, so that no value can be moved to another row.
 *
 * 2^32 values under one key are the bound of random 96-bit nonces (NIST SP 800-38D, section 8.3); a row is sealed a few times.
 */
export class AtRest {
  #key!: Uint8Array
  #nameKey!: Uint8Array

  constructor(ownerSecret: Uint8Array) {
    this.use(ownerSecret)
  }

  /** Another owner's secret takes the place of this one's: only where nothing is sealed yet. */
  use(ownerSecret: Uint8Array): void {
    this.#key = stateAtRestKey(ownerSecret)
    this.#nameKey = new Uint8Array(
      hkdfSync('sha256', ownerSecret, EMPTY, 'p2pnode/vault/1/name-mark', KEY_BYTES),
    )
  }

  seal(table: string, row: string, plain: Uint8Array): Uint8Array {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce)
    cipher.setAAD(associatedData(table, row))
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }

  /** @throws ERR_OWNER_STATE_UNREADABLE where it was sealed for another row or under another owner's key */
  open(table: string, row: string, sealed: Uint8Array): Uint8Array {
    const end = sealed.length - TAG_BYTES
    if (end < NONCE_BYTES) throw stateUnreadable(table)
    const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(0, NONCE_BYTES))
    decipher.setAAD(associatedData(table, row)).setAuthTag(sealed.subarray(end))
    try {
      return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, end)), decipher.final()])
    } catch (cause) {
      throw stateUnreadable(table, cause)
    }
  }

  /** Finds rows by name without telling names: whoever has the database alone cannot even try names. */
  markOf(name: string): Uint8Array {
    return createHmac('sha256', this.#nameKey).update(name, 'utf8').digest()
  }
}

function associatedData(table: string, row: string): Buffer {
  return Buffer.from(`${table}\0${row}`, 'utf8')
}
