import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { MAX_SECRET_BYTES, MAX_URL_CHARACTERS, MIN_SECRET_BYTES } from './limits.ts'

export function hookUrlInvalid(): P2pnodeError {
  return new P2pnodeError(
    'ERR_HOOK_URL',
    'usage',
    `a hook is an http: or https: address of at most ${MAX_URL_CHARACTERS} characters, without a name and password`,
  )
}

export function hookSecretInvalid(): P2pnodeError {
  return new P2pnodeError(
    'ERR_HOOK_SECRET',
    'usage',
    `a secret is whsec_ and the base64 of ${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES} bytes`,
  )
}

export function tooManyHooks(max: number): P2pnodeError {
  return new P2pnodeError('ERR_HOOK_LIMIT', 'busy', `there are ${max} hooks, which is the bound`)
}

export function hookNotFound(id: number): P2pnodeError {
  return new P2pnodeError('ERR_HOOK_NOT_FOUND', 'not-found', `there is no hook ${id}`, { details: { id } })
}
