import { Object as Section } from 'typebox'
import { list } from '../leaves.ts'

/** The keys of `swarm`: the door at which those who are invited to a private network knock. */
export const swarm = Section({
  listen: list('multiaddrs', {
    description:
      'Multiaddrs of the door of a private network, which is open while there are invitations and has the join protocol alone.',
    default: ['/ip4/0.0.0.0/tcp/4703', '/ip6/::/tcp/4703'],
  }),
  announce: list('multiaddrs', {
    description:
      'Multiaddrs that invitations name for the door, in place of those it finds out: for a forwarded port or a name.',
    default: [],
  }),
})
