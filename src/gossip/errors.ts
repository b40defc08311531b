import { P2pnodeError } from '../../protocols/shared/errors.ts'

export function topicUnknown(topic: string, known: string[]): P2pnodeError {
  return new P2pnodeError(
    'ERR_TOPIC_UNKNOWN',
    'usage',
    `there is no topic "${topic}"; there are: ${known.join(', ')}`,
    {
      details: { topic, known },
    },
  )
}

export function messageTooLarge(topic: string, sizeBytes: number, maxBytes: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_MESSAGE_TOO_LARGE',
    'too-large',
    `a message of ${sizeBytes} bytes is over the bound of topic "${topic}", ${maxBytes} bytes`,
    { details: { topic, sizeBytes, maxBytes } },
  )
}

export function gossipStopped(): P2pnodeError {
  return new P2pnodeError('ERR_GOSSIP_STOPPED', 'unavailable', 'gossip is not running')
}

export function tooManySubscribers(topic: string, max: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_GOSSIP_SUBSCRIBERS',
    'busy',
    `topic "${topic}" already has ${max} subscribers`,
    {
      details: { topic, max },
    },
  )
}

export function publishBusy(topic: string): P2pnodeError {
  return new P2pnodeError('ERR_GOSSIP_BUSY', 'busy', `too much is said under "${topic}" at once`, {
    details: { topic },
  })
}
