import { P2pnodeError } from '../../protocols/shared/errors.ts'
import { listenFailed } from './errors.ts'

/**
 * What an error of `libp2p.start()` means to an operator: an address that is taken or not of this machine gets one
 * clear line. Other errors come back as they are.
 */
export function startError(error: unknown): unknown {
  if (error instanceof P2pnodeError || !(error instanceof Error)) {
    return error
  }
  const text = error.message
  const port = /(?:EADDRINUSE|EACCES|EADDRNOTAVAIL)[^\n]*?([^\s]*:\d+)/.exec(text)?.[1]
  if (text.includes('EADDRINUSE')) {
    return listenFailed(
      `${port ?? 'an address of network.listen'} is in use by another program; stop it, or choose another address with --listen`,
      error,
    )
  }
  if (text.includes('EACCES')) {
    return listenFailed(
      `${port ?? 'a port'} needs rights that this process does not have; choose a port above 1023`,
      error,
    )
  }
  if (text.includes('EADDRNOTAVAIL')) {
    return listenFailed(`${port ?? 'an address of network.listen'} is not an address of this machine`, error)
  }
  return error.name === 'UnsupportedListenAddressesError' ? listenFailed(text, error) : error
}
