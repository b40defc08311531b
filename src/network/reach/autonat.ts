import { autoNATv2 } from '@libp2p/autonat-v2'
import { REACH_LIMITS } from '../limits.ts'
import { seldomWalk } from '../relay/walk.ts'

type Components = Parameters<ReturnType<typeof autoNATv2>>[0]

/** Whether addresses of this node can be dialled from outside: asks others to try, and tries for them. */
export function boundedAutonat(): (components: Components) => unknown {
  const factory = autoNATv2({
    timeout: REACH_LIMITS.autonatTimeoutMs,
    maxInboundStreams: REACH_LIMITS.autonatStreams,
    maxOutboundStreams: REACH_LIMITS.autonatStreams,
  })
  return ({ registrar, addressManager, connectionManager, logger, randomWalk, peerStore, metrics }) =>
    factory({
      registrar,
      addressManager,
      connectionManager,
      logger,
      randomWalk: seldomWalk(randomWalk),
      peerStore,
      ...(metrics === undefined ? {} : { metrics }),
    })
}
