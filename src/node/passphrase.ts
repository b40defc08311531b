import type { PassphrasePurpose } from '../identity/index.ts'

/** Gives the passphrase of the identity, or undefined where nobody has one. */
export type AskPassphrase = (purpose: PassphrasePurpose) => Promise<string | undefined>

/** Asks for a passphrase once: what was given opens and seals the other key file too. */
export function rememberingPassphrase(ask: AskPassphrase | undefined): {
  ask: AskPassphrase
  askAgain: (purpose: PassphrasePurpose) => Promise<string | undefined>
} {
  let given: string | undefined
  return {
    async ask(purpose) {
      given = await ask?.(purpose)
      return given
    },
    // A plain identity has no passphrase: a new owner's key is plain too, and one that is not asks for its own.
    askAgain: async (purpose) => given ?? (purpose === 'open' ? ask?.(purpose) : undefined),
  }
}
