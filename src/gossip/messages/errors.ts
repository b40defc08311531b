import { P2pnodeError } from '../../../protocols/shared/errors.ts'

export function topicInvalid(maxCharacters: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_MESSAGE_TOPIC',
    'usage',
    `a topic is one line of 1 to ${maxCharacters} characters`,
  )
}

export function tooManyListeners(max: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_MESSAGE_LISTENERS',
    'busy',
    `${max} programs listen already, which is the bound`,
  )
}
