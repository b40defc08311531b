import type { Admit } from '../../protocols/swarm/index.ts'
import { admitter } from '../../src/swarm/admit.ts'
import type { MemberList } from '../../src/swarm/list.ts'
import type { Pen } from '../../src/swarm/pen.ts'
import { quietLogger } from './network.ts'

/** Who answers knocks for a node that has nobody to tell, no network key and no other members to name. */
export function lonelyAdmitter(node: { list: MemberList; pen: Pen; now: () => number }): Admit {
  return admitter({
    ...node,
    isBlocked: () => false,
    contacts: async () => [],
    networkKey: async () => undefined,
    onAdmitted: async () => {},
    log: quietLogger(),
  })
}
