// The house of ARCHITECTURE.md as rules. Each carries its reason: a rule that nobody can explain is a rule to remove.

const leaves = [
  '^(src/telemetry/types\\.ts|src/trust/contract\\.ts|protocols/shared/|config/)',
  // The formats of slabs are the same on the wire, on the holder's disk and with the owner.
  '^protocols/chunk/(types\\.ts|errors\\.ts|format/)',
]

/** A room may import itself, the leaves, and what is listed. */
const room = (name, path, allowed, why) => ({
  name,
  comment: why,
  severity: 'error',
  from: { path: `^${path}` },
  to: {
    path: '^(src|protocols|config|test)/',
    pathNot: [`^${path}`, ...leaves, ...allowed.map((other) => `^${other}`)],
  },
})

export default {
  forbidden: [
    {
      name: 'no-circle',
      comment: 'Two files that need each other are one idea, or hide a third.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'nothing-imports-tests',
      comment: 'What ships must not depend on what checks it.',
      severity: 'error',
      from: { pathNot: '^test/' },
      to: { path: '^test/' },
    },
    {
      name: 'cli-is-thin',
      comment:
        'A client command has 120 ms in all; libp2p alone takes longer, and the daemon is where the work is done.',
      severity: 'error',
      from: { path: '^src/(cli|client)/' },
      to: { path: 'node_modules/(libp2p|helia|@libp2p|@helia|better-sqlite3|fastify)/' },
    },
    {
      name: 'no-unresolved',
      comment: 'A name that resolves to nothing fails at run time.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^(node:|bun:)' },
    },
    room('leaf-telemetry', 'src/telemetry/', [], 'Everybody logs; logging needs nobody.'),
    room('leaf-config', 'config/', [], 'What an operator sets knows nothing of what reads it.'),
    room('leaf-protocols-shared', 'protocols/shared/', [], 'Framing and errors stand below every protocol.'),
    room(
      'protocol-content',
      'protocols/content/',
      [],
      'A protocol is a libp2p service that knows nothing of the daemon.',
    ),
    room(
      'protocol-chunk',
      'protocols/chunk/',
      [],
      'A protocol is a libp2p service that knows nothing of the daemon.',
    ),
    room(
      'protocol-keep',
      'protocols/keep/',
      [],
      'A protocol is a libp2p service that knows nothing of the daemon.',
    ),
    room(
      'protocol-bitswap',
      'protocols/bitswap/',
      // The one list of hashes that blocks may have here.
      ['protocols/content/(hash|errors)\\.ts'],
      'A protocol is a libp2p service that knows nothing of the daemon.',
    ),
    room(
      'protocol-message',
      'protocols/message/',
      [],
      'A protocol is a libp2p service that knows nothing of the daemon.',
    ),
    room(
      'protocol-reconcile',
      'protocols/reconcile/',
      [],
      'A protocol is a libp2p service that knows nothing of the daemon.',
    ),
    room(
      'protocol-swarm',
      'protocols/swarm/',
      [],
      'A protocol is a libp2p service that knows nothing of the daemon.',
    ),
    room(
      'protocol-catalog',
      'protocols/catalog/',
      [],
      'A format that goes over the wire knows nothing of the daemon.',
    ),
    room(
      'protocol-trust',
      'protocols/trust/',
      [],
      'A protocol is a libp2p service that knows nothing of the daemon.',
    ),
    room(
      'workers',
      'src/workers/',
      ['src/telemetry/'],
      'What runs in a worker is pure and is given its bytes.',
    ),
    room(
      'vault',
      'src/vault/',
      [
        'src/storage/',
        'src/jobs/',
        'src/workers/',
        'src/identity/',
        'src/gossip/',
        'src/telemetry/',
        'src/tar/',
        'protocols/chunk/',
      ],
      'A service stands on storage, jobs and protocols, not on other services.',
    ),
    room('tar', 'src/tar/', [], 'A format of streams, needed by every service that takes or gives folders.'),
    room('identity', 'src/identity/', [], 'Keys depend on nothing that could leak them.'),
    room('storage', 'src/storage/', ['src/telemetry/'], 'Storage is the ground: services stand on it.'),
    room(
      'jobs',
      'src/jobs/',
      ['src/storage/', 'src/telemetry/'],
      'Jobs are durable, so they stand on storage, below every service.',
    ),
    room(
      'trust',
      'src/trust/',
      ['src/storage/', 'src/jobs/', 'src/identity/', 'src/telemetry/', 'src/gossip/', 'protocols/trust/'],
      'Services ask trust by its contract; trust asks no service. What is said of others goes by gossip, which knows the contract alone.',
    ),
    room(
      'network',
      'src/network/',
      ['src/storage/', 'src/identity/', 'src/telemetry/'],
      'Connections beside the services, under the node.',
    ),
    room(
      'gossip',
      'src/gossip/',
      ['src/storage/', 'src/identity/', 'src/telemetry/', 'protocols/message/', 'protocols/reconcile/'],
      'Gossip carries messages for services and knows none of them.',
    ),
    room(
      'content',
      'src/content/',
      [
        'src/storage/',
        'src/jobs/',
        'src/workers/',
        'src/identity/',
        'src/gossip/',
        'src/telemetry/',
        'src/tar/',
        'protocols/content/',
        'protocols/bitswap/',
        'protocols/keep/',
      ],
      'A service stands on storage, jobs and protocols, not on other services.',
    ),
    room(
      'swarm',
      'src/swarm/',
      [
        'src/storage/',
        'src/identity/',
        'src/gossip/',
        'src/telemetry/',
        'protocols/swarm/',
        'protocols/reconcile/types\\.ts',
      ],
      'Who belongs stands on storage, keys and protocols; trust and the network ask it by what the node hands them.',
    ),
    room(
      'catalog',
      'src/catalog/',
      [
        'src/storage/',
        'src/jobs/',
        'src/identity/',
        'src/gossip/',
        'src/telemetry/',
        'protocols/catalog/',
        'protocols/reconcile/types\\.ts',
      ],
      'A service stands on storage, jobs and protocols, not on other services.',
    ),
    room('client', 'src/client/', [], 'The client knows the document of the API, not the daemon.'),
    room(
      'cli',
      'src/cli/',
      ['src/client/', 'src/vault/codec/(link|inspect)\\.ts'],
      'A thin client of the HTTP API, and what works offline: pure parts of services.',
    ),
    {
      name: 'offline-is-pure',
      comment: 'What a command runs by itself loads no worker threads, no storage and no network.',
      severity: 'error',
      from: { path: '^src/vault/codec/inspect\\.ts' },
      to: { reachable: true, path: '^src/(workers|storage|jobs)/|node_modules/(piscina|@subspace)/' },
    },
    room(
      'api',
      'src/api/',
      [
        'src/(storage|jobs|content|vault|trust|network|telemetry|identity)/',
        'src/catalog/types\\.ts',
        'src/gossip/(messages|hooks)/types\\.ts',
        'src/swarm/(types|limits)\\.ts',
        'protocols/content/(types|links)\\.ts',
      ],
      'The API shows services; no service knows the API. Codecs and scopes are those of the protocol.',
    ),
    room(
      'node',
      'src/node/',
      [
        'src/(storage|jobs|content|vault|catalog|trust|network|gossip|swarm|telemetry|identity|api|workers)/',
        'protocols/',
      ],
      'The composition root.',
    ),
    room(
      'simulation',
      'src/simulation/',
      // Hostile peers put services of their own in the place of a node's.
      ['src/node/', 'src/telemetry/', 'src/trust/index\\.ts', 'protocols/content/(index|types)\\.ts'],
      'It plays with whole nodes, as whoever runs one sees them.',
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.json'],
    },
  },
}
