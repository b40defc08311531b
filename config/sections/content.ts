import { Object as Section } from 'typebox'
import { boolean, choice, duration, integer, list, number, rate, share, size } from '../leaves.ts'
import { deadline } from './common.ts'
import { routerKeys } from './router.ts'

/** The keys of `content`: public content, from where it comes, what is kept and told of it. */
export const content = Section({
  gateways: list('gateways', {
    description: 'Trustless HTTP gateways, as URLs; every block from them is verified.',
    default: [],
  }),
  dnslink: list('dnslinks', {
    description:
      'Where domains below /ipns/ lead, as DOMAIN=/ipfs/CID or DOMAIN=/ipns/NAME; others are asked of the DNS, with network.mode public alone.',
    default: [],
  }),
  republishNames: duration({
    description: 'How often the network is told again of the names that this node publishes.',
    default: '4h',
    from: '1m',
    to: '48h',
  }),
  capabilities: Section({
    interval: duration({
      description: 'Peers are told of content that has come or gone here at most so often.',
      default: '10m',
      from: '1s',
      to: '1d',
    }),
  }),
  router: routerKeys,
  steps: Section({
    peers: boolean({
      description: 'Ask connected peers and those found for missing blocks.',
      default: true,
    }),
    ipfs: boolean({
      description: 'Ask the public IPFS network (its DHT, Bitswap) too; needs network.mode public.',
      default: false,
    }),
    proxy: boolean({ description: 'Ask trusted peers to fetch from elsewhere.', default: true }),
    gateways: boolean({
      description: 'Ask the gateways of content.gateways last; needs network.mode public.',
      default: false,
    }),
  }),
  cache: Section({
    strategy: choice(['lru', 'trust', 'predictive'], {
      description:
        'What goes first of what was fetched and not pinned. lru: what was read longest ago. trust: what came from peers of low scores. predictive: what is asked for least; it also fetches ahead what usually follows.',
      default: 'lru',
    }),
    limit: number({
      description: 'Share of storage.quota in use from which on cached content goes by itself; 1: never.',
      default: 0.9,
      minimum: 0.1,
      maximum: 1,
    }),
    prefetch: rate({
      description: 'How much may be fetched ahead (predictive), on average over a minute.',
      default: '512KiB/s',
      from: '4KiB/s',
      to: '1GiB/s',
    }),
  }),
  announce: Section({
    publish: boolean({
      description:
        'Tell everybody in the network, by gossip, of what is added or pinned here: its CID, name and size.',
      default: false,
    }),
    receive: boolean({
      description: 'Listen to what others announce: for events and for pin policies.',
      default: true,
    }),
    autoFetch: boolean({
      description: 'Fetch what peers of a score of trust.thresholds.autoFetch announce, without pinning it.',
      default: false,
    }),
    budget: size({
      description: 'What may be fetched so in 24 hours.',
      default: '1GiB',
      from: '1MiB',
      to: '4PiB',
    }),
  }),
  keep: Section({
    offer: share({
      description:
        'Part of the quota for public content that others ask this node to keep a copy of: a size, or a percentage of storage.quota.',
      default: '10%',
      of: 'storage.quota',
      from: '0',
      to: '4PiB',
    }),
    term: duration({
      description: 'How long others are asked to keep copies of ours; asked again when a third is left.',
      default: '30d',
      from: '10s',
      to: '90d',
    }),
    probeInterval: duration({
      description: 'How often those who keep a copy are asked for a block of it.',
      default: '1h',
      from: '100ms',
      to: '7d',
    }),
    grace: duration({
      description: 'How long one who keeps a copy may be silent before another takes its place.',
      default: '2h',
      from: '0',
      to: '30d',
    }),
  }),
  provide: Section({
    strategy: choice(['roots', 'pinned', 'off'], {
      description:
        'What the DHT is told that this node has. roots: the roots of pins, and what was added. pinned: also every block below them. off: nothing, but what p2pnode provide names.',
      default: 'roots',
    }),
    interval: duration({
      description:
        'How old a provider record becomes before it is announced again: others keep it for 48 h, and some of them go meanwhile.',
      default: '22h',
      from: '1s',
      to: '47h',
    }),
    concurrency: integer({
      description: 'Announcements under way at once.',
      default: 8,
      minimum: 1,
      maximum: 64,
    }),
    rate: integer({
      description: 'Announcements begun in a second.',
      default: 16,
      minimum: 1,
      maximum: 1_000,
    }),
  }),
  deadlines: Section({
    peers: deadline('peers bring no block before a fetch is given up'),
    ipfs: deadline('the IPFS network may take over one block'),
    proxy: deadline('a peer may take that fetches one block from elsewhere'),
    gateways: deadline('a gateway may be silent'),
  }),
  proxy: Section({
    perPeer: Section({
      requests: integer({
        description:
          'Blocks a day that this node fetches from elsewhere for one peer at most; 0 refuses all.',
        default: 20_000,
        minimum: 0,
        maximum: 1_000_000_000,
      }),
      traffic: size({
        description: 'Bytes a day that it fetches from elsewhere for one peer at most.',
        default: '2GiB',
        from: '0',
        to: '1PiB',
      }),
    }),
    inAll: Section({
      requests: integer({
        description:
          'Blocks a day that this node fetches from elsewhere for all peers at most; 0 refuses all.',
        default: 200_000,
        minimum: 0,
        maximum: 1_000_000_000,
      }),
      traffic: size({
        description: 'Bytes a day that it fetches from elsewhere for all peers at most.',
        default: '20GiB',
        from: '0',
        to: '1PiB',
      }),
    }),
  }),
})
