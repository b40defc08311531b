import { Object as Section } from 'typebox'
import type { Static, TObject, TSchema } from 'typebox'
import { boolean, choice, duration, integer, list, number, rate, share, size, text } from './leaves.ts'
import { routerKeys } from './router-keys.ts'

/**
 * Every key that an operator may set: what it means, its default and its bounds. The defaults are those of a worker on a
 * private network; what another role or the public mode changes stands in `profiles/`. In a section keys come before further
 * sections, so that a line put at its end belongs to it.
 *
 * A key in written form (`storage.quota: 50GiB`) becomes a number whose name carries its unit in `Config`
 * (`config.storage.quotaBytes`): durations end in `Ms`, sizes in `Bytes`, rates in `BytesPerSecond`.
 */
export const schema = Section({
  role: choice(['master', 'worker', 'leecher'], {
    description: 'What this node is to its network; picks the table of differences in config/profiles.',
    default: 'worker',
  }),
  api: Section({
    host: host('Address that the control API, its documentation and the dashboard listen on.', '127.0.0.1'),
    port: port('Port of the control API; 0 takes a free one.', 4780),
  }),
  gateway: Section({
    host: host('Address that the HTTP gateway for public content listens on.', '127.0.0.1'),
    port: port('Port of the gateway; 0 takes a free one.', 4788),
    enabled: boolean({
      description: 'Serve public content over HTTP, to browsers and to clients that verify it.',
      default: true,
    }),
    fetch: boolean({
      description: 'Get what is asked for and not held from others; false: only what is held is served.',
      default: true,
    }),
    deserialized: boolean({
      description:
        'Serve files, directories and websites as browsers take them; false: only blocks, CARs and signed records, which a client verifies.',
      default: true,
    }),
    routing: boolean({
      description:
        'Answer who has content, where peers are, and records of names (/routing/v1), and publish records for whoever asks.',
      default: true,
    }),
    hosts: list('hosts', {
      description:
        'Names under which each CID gets an origin of its own (CID.ipfs.NAME), and to which paths are redirected there.',
      default: ['localhost'],
    }),
    denied: list('cids', {
      description: 'CIDs of blocks that are never served over HTTP, whatever is below or above them.',
      default: [],
    }),
    timeout: duration({
      description: 'How long a request may wait for its first byte.',
      default: '1m',
      from: '100ms',
      to: '1h',
    }),
    maxRequests: integer({
      description: 'Requests answered at a time, up to 4 MiB each; more are told to come later.',
      default: 128,
      minimum: 1,
      maximum: 10_000,
    }),
  }),
  network: Section({
    mode: choice(['private', 'public'], {
      description:
        'private: only the addresses given here and the local network are contacted. public: also the public IPFS network.',
      default: 'private',
    }),
    name: text({
      description:
        'Name of the network: part of every protocol id and topic; nodes of different names never talk.',
      default: 'main',
      pattern: '^[a-z0-9][a-z0-9._-]*$',
      form: 'lower-case letters, digits, ".", "_" and "-", beginning with a letter or digit',
      maxLength: 63,
    }),
    listen: list('multiaddrs', {
      description:
        'Multiaddrs to accept connections on; replaces the default list, of which those of transports that are off fall out.',
      default: [
        '/ip4/0.0.0.0/tcp/4700',
        '/ip4/0.0.0.0/tcp/4701/ws',
        '/ip4/0.0.0.0/udp/4700/quic-v1',
        '/ip4/0.0.0.0/udp/4702/webrtc-direct',
        '/ip6/::/tcp/4700',
        '/ip6/::/tcp/4701/ws',
        '/ip6/::/udp/4700/quic-v1',
        '/ip6/::/udp/4702/webrtc-direct',
      ],
    }),
    announce: list('multiaddrs', {
      description:
        'Multiaddrs that others are told to reach this node at, in place of those it finds out: for a forwarded port or a name.',
      default: [],
    }),
    bootstrap: list('bootstrap', {
      description: 'Multiaddrs, each ending in /p2p/PEER, of nodes to connect to at start.',
      default: [],
    }),
    dht: choice(['auto', 'server', 'client'], {
      description:
        'Part in the DHT. server: keeps and answers records. client: only asks. auto: server while it can be reached; on a private network that is taken for granted until others see it behind a NAT.',
      default: 'auto',
    }),
    mdns: boolean({ description: 'Find peers on the local network by multicast DNS.', default: true }),
    autonat: boolean({
      description:
        'Have other nodes try whether this one can be reached from outside, and try others (AutoNAT v2).',
      default: true,
    }),
    holePunching: boolean({
      description: 'Try to turn a connection through a relay into a direct one (DCUtR).',
      default: true,
    }),
    upnp: boolean({
      description: 'Ask the router of the local network to forward ports to this node (UPnP).',
      default: false,
    }),
    iceServers: list('iceServers', {
      description:
        'STUN servers, as stun:HOST:PORT, that tell this node its address from outside for WebRTC; none are asked unless named here.',
      default: [],
    }),
    minConnections: integer({
      description: 'Connections below which the node looks for further peers.',
      default: 8,
      minimum: 0,
      maximum: 10_000,
    }),
    maxConnections: integer({
      description: 'Connections above which the least useful are closed and new ones refused.',
      default: 300,
      minimum: 1,
      maximum: 10_000,
    }),
    maxInboundPerIpPerSecond: integer({
      description: 'New inbound connections that one address may open in a second.',
      default: 5,
      minimum: 1,
      maximum: 100_000,
    }),
    peers: Section({
      protect: list('peers', {
        description: 'Peer ids whose connections are never given up for others.',
        default: [],
      }),
      retention: duration({
        description: 'How long a peer that is away is remembered.',
        default: '30d',
        from: '1h',
        to: '3650d',
      }),
    }),
    transports: Section({
      tcp: boolean({ description: 'TCP (addresses that end in /tcp/PORT).', default: true }),
      websocket: boolean({ description: 'WebSocket (/tcp/PORT/ws, and /wss to dial).', default: true }),
      quic: boolean({ description: 'QUIC (/udp/PORT/quic-v1).', default: true }),
      webrtcDirect: boolean({
        description: 'WebRTC without signalling (/udp/PORT/webrtc-direct).',
        default: true,
      }),
      webrtc: boolean({
        description:
          'WebRTC between two nodes behind NATs, arranged through a relay (/p2p-circuit/webrtc); offered where network.iceServers names a STUN server, or by /webrtc in network.listen.',
        default: true,
      }),
    }),
    relay: Section({
      client: choice(['auto', 'always', 'never'], {
        description:
          'Slots at relays, through which others reach this node. auto: while it is behind a NAT and cannot be reached. always: from the start. never: nor does it dial through relays.',
        default: 'auto',
      }),
      server: boolean({
        description: 'Relay between other nodes that cannot reach each other.',
        default: false,
      }),
      maxReservations: integer({
        description: 'Slots that this node as a relay gives to others at once.',
        default: 128,
        minimum: 1,
        maximum: 10_000,
      }),
      dataLimit: size({
        description:
          'Bytes that this node as a relay carries over one relayed connection, both ways together.',
        default: '1GiB',
        from: '64KiB',
        // protons-runtime 7.1 writes a uint64 from 2 GiB on wrongly, and the other side then understands nothing.
        to: '2047MiB',
      }),
      timeLimit: duration({
        description: 'How long this node as a relay holds one relayed connection.',
        default: '1h',
        from: '10s',
        to: '7d',
      }),
    }),
  }),
  identity: Section({
    encrypt: boolean({
      description:
        'Keep the identity key under a passphrase: a new one is encrypted, a plain one is at the next start.',
      default: false,
    }),
  }),
  storage: Section({
    quota: size({
      description: 'Disk space that everything the node stores may take, databases and logs included.',
      default: '50GiB',
      from: '16MiB',
      to: '4PiB',
    }),
    offer: share({
      description: 'Part of the quota lent to other owners: a size, or a percentage of storage.quota.',
      default: '50%',
      of: 'storage.quota',
      from: '0',
      to: '4PiB',
    }),
    durability: choice(['full', 'relaxed'], {
      description:
        'full: what is acknowledged survives power loss. relaxed: it survives a crash of the process, but the last seconds before a power loss may be lost.',
      default: 'full',
    }),
    memory: size({
      description: 'Memory for blocks that were read lately.',
      default: '32MiB',
      from: '0',
      to: '64GiB',
    }),
    scrubRate: rate({
      description: 'How fast a scrub reads what is stored.',
      default: '20MiB/s',
      from: '4KiB/s',
      to: 'unlimited',
    }),
  }),
  content: Section({
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
        description:
          'Fetch what peers of a score of trust.thresholds.autoFetch announce, without pinning it.',
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
  }),
  vault: Section({
    redundancy: text({
      description: 'How a put spreads a file where the command does not say.',
      default: 'auto',
      pattern:
        '^(auto|copies:([1-9]|[1-5][0-9]|6[0-4])|rs:([1-9]|[1-5][0-9]|6[0-3])/([2-9]|[1-5][0-9]|6[0-4]))$',
      form: 'auto, copies:N, or rs:K/N with K < N and N at most 64',
      maxLength: 16,
    }),
    lease: duration({
      description: 'How long holders keep what is put; the owner renews it at one third.',
      default: '90d',
      from: '1s',
      to: '400d',
    }),
    publicRead: boolean({
      description:
        'Let programs on this machine (players, browsers) read a private file by its link alone, without a token.',
      default: false,
    }),
    audit: Section({
      interval: duration({
        description: 'How often each column is challenged to prove that it is there.',
        default: '12h',
        from: '100ms',
        to: '30d',
      }),
    }),
    repair: Section({
      grace: duration({
        description: 'How long a lost column may come back before it is rebuilt.',
        default: '2h',
        from: '0',
        to: '30d',
      }),
      rate: rate({
        description: 'Bandwidth that rebuilding may take on this node.',
        default: '10MiB/s',
        from: '4KiB/s',
        to: 'unlimited',
      }),
    }),
  }),
  trust: Section({
    thresholds: Section({
      connect: threshold('be connected to', 0.1),
      gossip: threshold('have its messages passed on', 0.2),
      serve: threshold('be served blocks and records', 0.15),
      fetch: threshold('be asked for blocks', 0.15),
      relay: threshold('relay through this node', 0.3),
      store: threshold('store columns here', 0.3),
      place: threshold('be given columns to keep', 0.4),
      proxy: threshold('have this node fetch from elsewhere for it', 0.6),
      keep: threshold('have this node keep public content for it', 0.5),
      autoFetch: threshold('have what it announces fetched', 0.7),
      catalogue: threshold('have its catalogue entries kept', 0.3),
    }),
  }),
  limits: Section({
    bandwidth: Section({
      schedule: list('schedule', {
        description:
          'Times of day, in the time of this machine, at which other rates than limits.bandwidth.global hold for the node.',
        default: [],
      }),
      global: Section({
        in: bandwidth('All content received by this node.'),
        out: bandwidth('All content sent by this node.'),
      }),
      perPeer: Section({
        in: bandwidth('Content received from one peer.'),
        out: bandwidth('Content sent to one peer.'),
      }),
      protocols: Section({
        content: bothWays('public files between p2pnodes'),
        bitswap: bothWays('public blocks to and from any IPFS node'),
        chunk: bothWays('columns of private files'),
        gateway: bothWays('public files over HTTP'),
        torrent: bothWays('releases over BitTorrent'),
      }),
    }),
  }),
  jobs: Section({
    sourceTimeout: duration({
      description: 'How long a job waits for the client that has its bytes before it is given up.',
      default: '24h',
      from: '1s',
      to: '365d',
    }),
    retention: duration({
      description: 'How long a job that has ended stays listed.',
      default: '30d',
      from: '1s',
      to: '3650d',
    }),
  }),
  log: Section({
    level: choice(['trace', 'debug', 'info', 'warn', 'error', 'silent'], {
      description: 'The least important lines that are logged.',
      default: 'info',
    }),
  }),
})

export type ConfigSchema = typeof schema

/** The resolved configuration: complete, checked, deeply frozen; durations, sizes and rates as numbers. */
export type Config = Resolved<ConfigSchema>

/** `storage.quota`, `vault.audit.interval`, …: every key in written form. */
export type KeyPath = Paths<ConfigSchema>

/** Suffixes that say the unit of a number, by how the key is written. */
export const UNIT_SUFFIXES = {
  duration: 'Ms',
  size: 'Bytes',
  share: 'Bytes',
  rate: 'BytesPerSecond',
} as const satisfies Record<string, string>

type Suffixes = typeof UNIT_SUFFIXES
type ResolvedName<Key, S> = Key extends string
  ? S extends { written: infer W extends keyof Suffixes }
    ? `${Key}${Suffixes[W]}`
    : Key
  : never

type Resolved<S extends TSchema> =
  S extends TObject<infer Properties>
    ? { readonly [Key in keyof Properties as ResolvedName<Key, Properties[Key]>]: Resolved<Properties[Key]> }
    : Static<S> extends readonly (infer Item)[]
      ? readonly Item[]
      : Static<S>

type Paths<S extends TSchema> =
  S extends TObject<infer Properties>
    ? {
        [Key in keyof Properties & string]: Properties[Key] extends TObject
          ? `${Key}.${Paths<Properties[Key]>}`
          : Key
      }[keyof Properties & string]
    : never

function host(description: string, otherwise: string) {
  return text({
    description,
    default: otherwise,
    pattern: '^[A-Za-z0-9:._-]+$',
    form: 'an IP address or a host name',
    maxLength: 253,
  })
}

function port(description: string, otherwise: number) {
  return integer({ description, default: otherwise, minimum: 0, maximum: 65_535 })
}

function deadline(what: string) {
  return duration({ description: `How long ${what}.`, default: '30s', from: '100ms', to: '1h' })
}

function threshold(right: string, otherwise: number) {
  return number({
    description: `Least score of a peer to ${right}.`,
    default: otherwise,
    minimum: 0,
    maximum: 1,
  })
}

function bandwidth(description: string) {
  return rate({ description, default: 'unlimited', from: '4KiB/s', to: 'unlimited' })
}

function bothWays(what: string) {
  return Section({
    in: bandwidth(`Received of ${what}.`),
    out: bandwidth(`Sent of ${what}.`),
  })
}
