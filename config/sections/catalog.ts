import { Object as Section } from 'typebox'
import { boolean, duration, size } from '../leaves.ts'

/** The keys of `catalog`: what is to be had in the network, by what publishers say. */
export const catalog = Section({
  receive: boolean({
    description:
      'Keep what others publish, pass it on, and search it. Without it this node can still publish, but nobody who was away then learns of it from here.',
    default: true,
  }),
  size: size({
    description:
      'How much of the catalogue is kept: some 1 KiB an entry. Where it is not enough, publishers share it evenly.',
    default: '256MiB',
    from: '1MiB',
    to: '16GiB',
  }),
  lifetime: duration({
    description: 'How long what this node publishes holds, where the command does not say.',
    default: '90d',
    from: '1m',
    to: '400d',
  }),
})
