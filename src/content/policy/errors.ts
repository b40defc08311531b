import { P2pnodeError } from '../../../protocols/shared/errors.ts'

export function policyInvalid(reason: string): P2pnodeError {
  return new P2pnodeError('ERR_POLICY_INVALID', 'usage', `not a pin policy: ${reason}`)
}

export function policyFull(max: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_POLICY_FULL',
    'conflict',
    `there are ${max} pin policies already; remove one first`,
    {
      details: { max },
    },
  )
}

export function policyNotFound(id: number): P2pnodeError {
  return new P2pnodeError('ERR_POLICY_NOT_FOUND', 'not-found', `there is no pin policy ${id}`, {
    details: { id },
  })
}
