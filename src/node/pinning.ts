import { createPinning, type Pinning, type PinningOptions } from '../content/pinning/index.ts'
import type { PrivateMark } from '../content/private/types.ts'
import type { Network } from '../network/types.ts'
import type { OpenStorage } from '../storage/open.ts'

export interface NodePinningOptions extends Omit<PinningOptions, 'pins' | 'connect' | 'isPrivate'> {
  storage: Pick<OpenStorage, 'pins'>
  network: Pick<Network, 'connect'>
  privacy: PrivateMark
}

/** Pinning for others; jobs must have been started. */
export function startPinning({ storage, network, privacy, ...rest }: NodePinningOptions): Pinning {
  const pinning = createPinning({
    ...rest,
    pins: storage.pins,
    isPrivate: privacy.isPrivate,
    connect: (origin, signal) => network.connect(origin, signal),
  })
  pinning.start()
  return pinning
}
