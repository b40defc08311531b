import { hkdfSync, randomBytes } from 'node:crypto'
import {
  loadOrCreateSecret,
  OWNER_FORM,
  replaceSecret,
  type SecretFileOptions,
  type SecretKind,
} from '../../identity/index.ts'

/** Bytes of the owner secret: what 24 words of BIP 39 spell. */
const OWNER_SECRET_BYTES = 32
const NAME_BYTES = 16
const EMPTY = new Uint8Array(0)

const OWNER_KIND: SecretKind = {
  form: OWNER_FORM,
  make: () => Promise.resolve(randomBytes(OWNER_SECRET_BYTES)),
  nameOf: (secret) => Promise.resolve(ownerName(secret)),
}

/** What tells one owner's secret from another's without telling anything of either. */
export function ownerName(secret: Uint8Array): string {
  return Buffer.from(hkdfSync('sha256', secret, EMPTY, 'p2pnode/vault/1/owner-name', NAME_BYTES)).toString(
    'hex',
  )
}

/**
 * The owner secret in HOME/owner.key, made where there is none.
 *
 * @throws ERR_OWNER_KEY_INVALID, ERR_OWNER_KEY_EXPOSED (others may use the file), ERR_OWNER_KEY_UNREADABLE,
 * ERR_PASSPHRASE_NEEDED, ERR_PASSPHRASE_WRONG
 */
export async function loadOwnerSecret(options: SecretFileOptions): Promise<Uint8Array> {
  return (await loadOrCreateSecret(OWNER_KIND, options)).secret
}

/** Puts the secret that a recovery phrase spells in the place of the one that is there. */
export async function replaceOwnerSecret(secret: Uint8Array, options: SecretFileOptions): Promise<void> {
  await replaceSecret(OWNER_KIND, secret, options)
}
