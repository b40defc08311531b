import { hkdfSync } from 'node:crypto'
import { generateKeyPair, generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { SEED_BYTES } from '../../../protocols/shared/ed25519.ts'
import { type Identity, SealedRows } from '../../identity/index.ts'
import { keyExists, keyNameInvalid, keyNotFound, keyUnreadable, tooManyKeys } from './errors.ts'
import { MAX_KEY_CHARACTERS, MAX_KEYS } from './limits.ts'
import { nameOfKey } from './name.ts'
import type { NameStore } from './store.ts'
import type { NameKey } from './types.ts'

/** The node's own key. */
export const SELF = 'self'
const TABLE = 'name_key'
const KEY_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/

/**
 * The keys that names are published with: the node's own, and others that lie sealed in state.db. Their seal comes from
 * the identity, so that they are as safe as it: under its passphrase where it has one.
 */
export class NameKeys {
  readonly #self: Ed25519PrivateKey
  readonly #store: NameStore
  readonly #rows: SealedRows

  constructor({ privateKey }: Pick<Identity, 'privateKey'>, store: NameStore) {
    this.#self = privateKey
    this.#store = store
    const seed = privateKey.raw.subarray(0, SEED_BYTES)
    const key = hkdfSync('sha256', seed, new Uint8Array(0), 'p2pnode/names/1/key-at-rest', 32)
    this.#rows = new SealedRows(new Uint8Array(key), (_table, cause) => keyUnreadable(cause))
  }

  list(): NameKey[] {
    const own = { key: SELF, name: nameOf(this.#self), createdAtMs: null }
    return [own, ...this.#store.keys().map(({ key, name, createdAtMs }) => ({ key, name, createdAtMs }))]
  }

  /** @throws ERR_KEY_NOT_FOUND, ERR_KEY_UNREADABLE */
  async get(key: string): Promise<Ed25519PrivateKey> {
    if (key === SELF) return this.#self
    const row = this.#store.keys().find((row) => row.key === key)
    if (row === undefined) throw keyNotFound(key)
    return generateKeyPairFromSeed('Ed25519', this.#rows.open(TABLE, key, row.sealed))
  }

  /** Resolves once the key survives power loss. @throws ERR_KEY_NAME_INVALID, ERR_KEY_EXISTS, ERR_TOO_MANY_KEYS */
  async create(key: string, nowMs: number): Promise<NameKey> {
    if (key === SELF) throw keyExists(SELF)
    if (key.length > MAX_KEY_CHARACTERS || !KEY_NAME.test(key))
      throw keyNameInvalid(key, `letters, digits, ".", "_" and "-", at most ${MAX_KEY_CHARACTERS}`)
    const privateKey = await generateKeyPair('Ed25519')
    const name = nameOf(privateKey)
    const sealed = this.#rows.seal(TABLE, key, privateKey.raw.subarray(0, SEED_BYTES))
    await this.#store.write(() => {
      const keys = this.#store.keys()
      if (keys.some((row) => row.key === key)) throw keyExists(key)
      if (keys.length >= MAX_KEYS) throw tooManyKeys(MAX_KEYS)
      this.#store.putKey(key, name, sealed, nowMs)
    })
    return { key, name, createdAtMs: nowMs }
  }

  /** @throws ERR_KEY_NOT_FOUND, ERR_KEY_NAME_INVALID */
  async remove(key: string): Promise<void> {
    if (key === SELF) throw keyNameInvalid(SELF, "the node's own key cannot be removed")
    await this.#store.write(() => {
      const row = this.#store.keys().find((row) => row.key === key)
      if (row === undefined) throw keyNotFound(key)
      this.#store.removeKey(key)
      this.#store.removePublication(row.name)
    })
  }
}

function nameOf(key: Ed25519PrivateKey): string {
  return nameOfKey(key.publicKey.toMultihash()).text
}
