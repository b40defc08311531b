import { createHmac, hkdfSync } from 'node:crypto'
import { SealedRows } from '../../identity/index.ts'
import { stateAtRestKey } from '../codec/index.ts'
import { stateUnreadable } from './errors.ts'

const KEY_BYTES = 32
const EMPTY = new Uint8Array(0)

/** Seals what the owner's tables hold of secrets, under a key of the owner's secret. */
export class AtRest {
  #rows!: SealedRows
  #nameKey!: Uint8Array

  constructor(ownerSecret: Uint8Array) {
    this.use(ownerSecret)
  }

  /** Another owner's secret takes the place of this one's: only where nothing is sealed yet. */
  use(ownerSecret: Uint8Array): void {
    this.#rows = new SealedRows(stateAtRestKey(ownerSecret), stateUnreadable)
    this.#nameKey = new Uint8Array(
      hkdfSync('sha256', ownerSecret, EMPTY, 'p2pnode/vault/1/name-mark', KEY_BYTES),
    )
  }

  seal(table: string, row: string, plain: Uint8Array): Uint8Array {
    return this.#rows.seal(table, row, plain)
  }

  /** @throws ERR_OWNER_STATE_UNREADABLE where it was sealed for another row or under another owner's key */
  open(table: string, row: string, sealed: Uint8Array): Uint8Array {
    return this.#rows.open(table, row, sealed)
  }

  /** Finds rows by name without telling names: whoever has the database alone cannot even try names. */
  markOf(name: string): Uint8Array {
    return createHmac('sha256', this.#nameKey).update(name, 'utf8').digest()
  }
}
