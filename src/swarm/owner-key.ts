import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { ed25519Signer, SEED_BYTES, type Signer } from '../../protocols/shared/ed25519.ts'
import { loadOrCreateSecret, type SecretFileOptions, type SecretKind, SWARM_FORM } from '../identity/index.ts'
import { ownerKeyKept } from './errors.ts'
import { hex } from './roster.ts'

/** The owner's key, where this node has it. */
export interface OwnerKey {
  readonly seed: Uint8Array
  readonly signer: Signer
}

const kindOf = (make: () => Uint8Array): SecretKind => ({
  form: SWARM_FORM,
  make: () => Promise.resolve(make()),
  nameOf: (secret) => Promise.resolve(hex(ed25519Signer(secret).publicKey)),
})

/**
 * The key in HOME/swarm-owner.key, or undefined where there is none.
 *
 * @throws ERR_SWARM_KEY_INVALID, ERR_SWARM_KEY_EXPOSED, ERR_SWARM_KEY_UNREADABLE, ERR_PASSPHRASE_NEEDED, ERR_PASSPHRASE_WRONG
 */
export async function loadOwnerKey(options: SecretFileOptions): Promise<OwnerKey | undefined> {
  if (!existsSync(options.path)) return undefined
  const { secret } = await loadOrCreateSecret(
    kindOf(() => randomBytes(SEED_BYTES)),
    options,
  )
  return ownerKey(secret)
}

/**
 * Writes a seed as the owner's key. The key of another swarm is never overwritten: it may be the only copy.
 *
 * @throws ERR_SWARM_KEY_KEPT, and as `loadOwnerKey`
 */
export async function storeOwnerKey(key: OwnerKey, options: SecretFileOptions): Promise<void> {
  const { secret } = await loadOrCreateSecret(
    kindOf(() => key.seed),
    options,
  )
  if (Buffer.compare(secret, key.seed) !== 0) throw ownerKeyKept(options.path)
}

/** @param seed 32 random bytes */
export function ownerKey(seed: Uint8Array = randomBytes(SEED_BYTES)): OwnerKey {
  return { seed, signer: ed25519Signer(seed) }
}
