import { Object as Section } from 'typebox'
import type { Static, TObject, TSchema } from 'typebox'
import { boolean, choice, duration, list, rate, share, size, text } from './leaves.ts'
import { host, port, threshold, bandwidth, bothWays } from './sections/common.ts'
import { catalog } from './sections/catalog.ts'
import { content } from './sections/content.ts'
import { gateway } from './sections/gateway.ts'
import { network } from './sections/network.ts'
import { swarm } from './sections/swarm.ts'

/**
 * Every key that an operator may set: what it means, its default and its bounds. The defaults are those of a worker on a
 * private network; what another role or the public mode changes stands in `profiles/`. Long sections stand in `sections/`. In a section keys come before further
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
  gateway,
  network,
  swarm,
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
  content,
  catalog,
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
      catalogue: threshold('have its catalogue entries shown', 0.3),
      recommend: threshold('have what it says of others counted; by what was seen of it alone', 0.6),
    }),
    recommendations: Section({
      tell: boolean({
        description: 'Tell the network what this node has seen of peers that it came to know, signed.',
        default: true,
      }),
      hear: boolean({
        description: 'Count, damped and bounded, what trusted peers say of others.',
        default: true,
      }),
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
        reconcile: bothWays('sets that nodes compare: catalogue, deletions, members'),
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
