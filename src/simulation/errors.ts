import { P2pnodeError } from '../../protocols/shared/errors.ts'
import { MAX_NODES, MIN_NODES } from './limits.ts'

export function countInvalid(count: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_SIMULATION_COUNT',
    'usage',
    `found ${count} nodes, allowed: a whole number from ${MIN_NODES} to ${MAX_NODES}`,
    { details: { count, minimum: MIN_NODES, maximum: MAX_NODES } },
  )
}

export function scenarioUnknown(name: string, known: readonly string[]): P2pnodeError {
  return new P2pnodeError(
    'ERR_SIMULATION_SCENARIO',
    'usage',
    `found the scenario ${JSON.stringify(name)}, allowed: ${known.join(', ')}`,
    { details: { name, known } },
  )
}

export function tooFewNodes(scenario: string, count: number, minimum: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_SIMULATION_COUNT',
    'usage',
    `found ${count} nodes, allowed for the scenario ${scenario}: at least ${minimum}`,
    { details: { scenario, count, minimum } },
  )
}

export function cancelled(cause: unknown): P2pnodeError {
  return new P2pnodeError('ERR_CANCELLED', 'cancelled', 'the simulation was called off', { cause })
}

export function jobFailed(title: string, code: string, message: string): P2pnodeError {
  return new P2pnodeError('ERR_SIMULATION_JOB', 'failed', `${title}: ${message} (${code})`)
}
