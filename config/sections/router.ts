import { Object as Section } from 'typebox'
import { choice, duration, number, rate, size } from '../leaves.ts'

/** The keys of `content.router`: from whom content is rather taken. */
export const routerKeys = Section({
  halfLife: duration({
    description: 'After so long what was learned of a source counts half.',
    default: '1d',
    from: '1m',
    to: '365d',
  }),
  fastBandwidth: rate({
    description: 'Measured or told bandwidth from which on a source gets all points for it.',
    default: '1000000B/s',
    from: '1KiB/s',
    to: '1GiB/s',
  }),
  smallBelow: size({ description: 'Content below this is small.', default: '1MiB', from: '0', to: '4PiB' }),
  largeFrom: size({
    description: 'Content from this on is large.',
    default: '256MiB',
    from: '0',
    to: '4PiB',
  }),
  recentWithin: duration({
    description: 'Content first seen within this time is recent.',
    default: '1d',
    from: '0',
    to: '3650d',
  }),
  archivedAfter: duration({
    description: 'Content first seen longer ago is archived.',
    default: '30d',
    from: '0',
    to: '3650d',
  }),
  weights: Section({
    directPeer: weight('of being a connected peer of this network', 100),
    ipfs: weight('of reaching IPFS itself', 50),
    trust: weight("of a peer's score of 1; a lower score gets its part", 10),
    bandwidth: weight('of a bandwidth of fastBandwidth or more; a lower one gets its part', 20),
    latency: weight('that a millisecond of latency costs', 0.1),
    success: weight('of having always had success; never having had any costs as much', 50),
    bytes: weight('of having brought 1 GiB or more lately', 10),
    claim: weight(
      "of saying to have the content (content filter, DHT record), less a filter's broken claims",
      80,
    ),
    preference: weight('of being what the rules of prefer say', 30),
  }),
  prefer: Section({
    private: preference('that is marked private; public sources are never asked for it', 'p2p'),
    recent: preference('first seen within recentWithin', 'p2p'),
    small: preference('smaller than smallBelow', 'p2p'),
    public: preference('that is not marked private', 'ipfs'),
    large: preference('of largeFrom or more', 'ipfs'),
    archived: preference('first seen longer ago than archivedAfter', 'ipfs'),
  }),
})

function weight(what: string, otherwise: number) {
  return number({ description: `Points ${what}.`, default: otherwise, minimum: 0, maximum: 1_000 })
}

function preference(which: string, otherwise: 'p2p' | 'ipfs' | 'none') {
  return choice(['p2p', 'ipfs', 'none'], {
    description: `Where content ${which} is rather taken from; of several rules the majority counts.`,
    default: otherwise,
  })
}
