import { join } from 'node:path'
import { loadOrCreateIdentity, type LoadedIdentity, type SecretFileOptions } from '../identity/index.ts'
import { loadOwnerSecret } from '../vault/index.ts'
import { type AskPassphrase, rememberingPassphrase } from './passphrase.ts'

export interface NodeSecrets {
  identity: LoadedIdentity
  ownerSecret: Uint8Array
  /** HOME/owner.key. */
  ownerKeyFile: SecretFileOptions
  /** For further key files: nobody is asked twice for the same passphrase. */
  askPassphrase: AskPassphrase
}

/**
 * The keys in a home, made where there are none.
 *
 * @throws ERR_IDENTITY_…, ERR_OWNER_KEY_…, ERR_PASSPHRASE_…
 */
export async function nodeSecrets(
  home: string,
  encrypt: boolean,
  passphrase: AskPassphrase | undefined,
): Promise<NodeSecrets> {
  const secrets = rememberingPassphrase(passphrase)
  const identity = await loadOrCreateIdentity({
    path: join(home, 'identity.key'),
    passphrase: secrets.ask,
    encrypt,
  })
  // Under the same passphrase, where there is one.
  const ownerKeyFile = {
    path: join(home, 'owner.key'),
    passphrase: secrets.askAgain,
    encrypt: identity.encrypted,
  }
  const ownerSecret = await loadOwnerSecret(ownerKeyFile)
  return { identity, ownerSecret, ownerKeyFile, askPassphrase: secrets.askAgain }
}
