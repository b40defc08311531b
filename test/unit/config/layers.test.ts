import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { loadConfig } from '../../../config/index.ts'
import type { Config } from '../../../config/index.ts'
import { KEYS, SECTIONS } from '../../../config/keys.ts'
import { MODE_PROFILES, ROLE_PROFILES } from '../../../config/profiles/index.ts'
import { configOf, loadLayers, problemsFrom, problemsOf, temporaryHome } from '../../support/config.ts'

const GiB = 1024 ** 3
const TRANSPORTS_OFF = { tcp: false, websocket: false, quic: false, webrtcDirect: false, webrtc: false }
const PEER = '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA'

describe('the layers of the configuration', () => {
  it('has a complete, private configuration without any file', async () => {
    const { config, sources, file } = await loadLayers({})
    expect(file).toBeNull()
    expect(config.role).toBe('worker')
    expect(config.api).toEqual({ host: '127.0.0.1', port: 4780 })
    expect(config.gateway).toMatchObject({
      host: '127.0.0.1',
      port: 4788,
      enabled: true,
      hosts: ['localhost'],
    })
    expect(config.network).toMatchObject({ mode: 'private', name: 'main', bootstrap: [] })
    expect(config.content.steps).toMatchObject({ peers: true, ipfs: false, gateways: false })
    expect(config.content.gateways).toEqual([])
    expect(config.storage).toMatchObject({
      quotaBytes: 50 * GiB,
      offerBytes: 25 * GiB,
      memoryBytes: 32 * 1024 ** 2,
    })
    expect(config.jobs).toEqual({ sourceTimeoutMs: 24 * 3_600_000, retentionMs: 30 * 86_400_000 })
    expect([...sources.keys()]).toEqual([...KEYS.keys()])
    expectTypeOf<Config['storage']['quotaBytes']>().toEqualTypeOf<number>()
    expectTypeOf<Config['network']['listen']>().toEqualTypeOf<readonly string[]>()
    expectTypeOf<Config['role']>().toEqualTypeOf<'master' | 'worker' | 'leecher'>()
  })

  it('listens by default on what is on, and says what fell out', async () => {
    const { config, sources } = await loadLayers({
      flags: { set: ['network.transports.quic=false', 'network.transports.webrtcDirect=false'] },
    })
    expect(config.network.listen).toEqual([
      '/ip4/0.0.0.0/tcp/4700',
      '/ip4/0.0.0.0/tcp/4701/ws',
      '/ip6/::/tcp/4700',
      '/ip6/::/tcp/4701/ws',
    ])
    expect(sources.get('network.listen')).toEqual({
      layer: 'default',
      where: 'default, less the transports that are off',
    })
    expect((await loadLayers({})).sources.get('network.listen')?.where).toBe('default')
  })

  it('makes masters relays and nobody else', async () => {
    const relays = await Promise.all(
      (['master', 'worker', 'leecher'] as const).map(async (role) => {
        const { config } = await loadLayers({ flags: { set: [`role=${role}`] } })
        return config.network.relay.server
      }),
    )
    expect(relays).toEqual([true, false, false])
  })

  it('is frozen to the bottom', async () => {
    const { config } = await loadLayers({ yaml: 'network: {listen: ["/ip4/127.0.0.1/tcp/0"]}' })
    const open: unknown[] = []
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      if (!Object.isFrozen(value)) open.push(value)
      Object.values(value).forEach(visit)
    }
    visit(config)
    expect(open).toEqual([])
    expect(() => (config.network.listen as string[]).push('x')).toThrow(TypeError)
  })

  it('lets later layers win, for every subset of layers that set a key', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({ role: fc.boolean(), file: fc.boolean(), environment: fc.boolean(), flag: fc.boolean() }),
        async (set) => {
          const { config, sources } = await loadLayers({
            yaml: set.file ? 'network:\n  maxConnections: 101\n' : '',
            env: set.environment ? { P2PNODE_NETWORK_MAX_CONNECTIONS: '102' } : {},
            flags: {
              ...(set.role ? { role: 'master' } : {}),
              ...(set.flag ? { set: ['network.maxConnections=103'] } : {}),
            },
          })
          const [value, layer] = set.flag
            ? [103, 'flag']
            : set.environment
              ? [102, 'environment']
              : set.file
                ? [101, 'file']
                : set.role
                  ? [1000, 'role']
                  : [300, 'default']
          expect(config.network.maxConnections).toBe(value)
          expect(sources.get('network.maxConnections')?.layer).toBe(layer)
          expect(config.role).toBe(set.role ? 'master' : 'worker')
        },
      ),
      { numRuns: 32 },
    )
  })

  it('takes the role and the mode from whichever layer says them last', async () => {
    const { config, sources } = await loadLayers({
      yaml: 'role: master\nnetwork: {mode: public}',
      env: { P2PNODE_ROLE: 'leecher' },
    })
    expect(config.network.maxConnections).toBe(50)
    expect(config.network.dht).toBe('client')
    expect(config.storage.offerBytes).toBe(0)
    expect(config.network.bootstrap).toEqual(MODE_PROFILES.public['network.bootstrap'])
    expect(config.content.steps).toMatchObject({ ipfs: true, gateways: true })
    expect(sources.get('storage.offer')).toEqual({ layer: 'role', where: 'role leecher' })
    expect(sources.get('network.bootstrap')).toEqual({ layer: 'mode', where: 'network.mode public' })
  })

  it('merges sections key by key and replaces lists whole', async () => {
    const { network, api } = await configOf({
      yaml: 'api: {host: 0.0.0.0}\nnetwork:\n  listen: [/ip4/127.0.0.1/tcp/1, /ip4/127.0.0.1/tcp/2]\n  mdns: false\n',
      env: { P2PNODE_API_PORT: '0' },
      flags: { listen: ['/ip4/127.0.0.1/tcp/3'] },
    })
    expect(api).toEqual({ host: '0.0.0.0', port: 0 })
    expect(network.listen).toEqual(['/ip4/127.0.0.1/tcp/3'])
    expect(network.mdns).toBe(false)
  })

  it('reads every kind of value from environment and flags', async () => {
    const config = await configOf({
      env: {
        P2PNODE_NETWORK_MDNS: 'false',
        P2PNODE_STORAGE_QUOTA: '10GiB',
        P2PNODE_STORAGE_OFFER: '25%',
        P2PNODE_STORAGE_SCRUB_RATE: '1MiB/s',
        P2PNODE_TRUST_THRESHOLDS_PROXY: '0.75',
        P2PNODE_NETWORK_BOOTSTRAP: JSON.stringify([`/ip4/192.0.2.1/tcp/4700/p2p/${PEER}`]),
      },
      flags: {
        set: [
          'jobs.sourceTimeout=90s',
          'content.gateways=["https://a.example/b=c"]',
          'limits.bandwidth.global.in=5MiB/s',
        ],
      },
    })
    expect(config.network.mdns).toBe(false)
    expect(config.storage).toMatchObject({
      quotaBytes: 10 * GiB,
      offerBytes: 2.5 * GiB,
      scrubRateBytesPerSecond: 1024 ** 2,
    })
    expect(config.trust.thresholds.proxy).toBe(0.75)
    expect(config.network.bootstrap).toHaveLength(1)
    expect(config.jobs.sourceTimeoutMs).toBe(90_000)
    expect(config.content.gateways).toEqual(['https://a.example/b=c'])
    expect(config.limits.bandwidth.global).toEqual({
      inBytesPerSecond: 5 * 1024 ** 2,
      outBytesPerSecond: Number.POSITIVE_INFINITY,
    })
  })

  it('has a distinct environment variable for every key, none of them reserved', () => {
    const variables = [...KEYS.values()].map(({ variable }) => variable)
    expect(new Set(variables).size).toBe(variables.length)
    for (const reserved of ['P2PNODE_HOME', 'P2PNODE_API', 'P2PNODE_TOKEN', 'P2PNODE_PASSPHRASE']) {
      expect(variables).not.toContain(reserved)
    }
    expect(KEYS.get('network.maxInboundPerIpPerSecond')?.variable).toBe(
      'P2PNODE_NETWORK_MAX_INBOUND_PER_IP_PER_SECOND',
    )
  })

  it('leaves reserved variables and those of container networks alone', async () => {
    const env = {
      P2PNODE_HOME: '/x',
      P2PNODE_API: 'http://127.0.0.1:1',
      P2PNODE_TOKEN: 't',
      P2PNODE_PASSPHRASE: 'p',
      P2PNODE_SERVICE_HOST: '10.0.0.1',
      P2PNODE_SERVICE_PORT_API: '4780',
      P2PNODE_PORT: 'tcp://10.0.0.1:4780',
      P2PNODE_PORT_4780_TCP_ADDR: '10.0.0.1',
      PATH: '/bin',
    }
    expect(await configOf({ env })).toEqual(await configOf({}))
  })

  it('loads every role in every mode', async () => {
    for (const role of Object.keys(ROLE_PROFILES)) {
      for (const mode of Object.keys(MODE_PROFILES)) {
        const { config } = await loadLayers({ flags: { role, set: [`network.mode=${mode}`] } })
        expect(config).toMatchObject({ role, network: { mode } })
        // Written as an operator would, the lists of the profiles pass the same checks.
        const set = [`network.mode=${mode}`, `network.bootstrap=${JSON.stringify(config.network.bootstrap)}`]
        const again = await configOf({ flags: { role, set, listen: config.network.listen } })
        expect(again).toEqual(config)
      }
    }
  })

  it('lets a minimum that nobody set give way to a maximum that somebody did', async () => {
    const { config, sources } = await loadLayers({ flags: { set: ['network.maxConnections=3'] } })
    expect(config.network).toMatchObject({ minConnections: 3, maxConnections: 3 })
    expect(sources.get('network.minConnections')?.where).toBe('default, lowered to network.maxConnections')
  })
})

describe('what is refused', () => {
  it('tells every problem of every layer at once, each with its place', async () => {
    const problems = await problemsOf({
      yaml: '# a comment\nstorage:\n  quota: 5\n  durabilty: full\nlog: {level: loud}\n',
      env: { P2PNODE_API_PORT: 'x', P2PNODE_API_PROT: '1' },
      flags: {
        role: 'king',
        set: ['jobs.retention', 'network.mdns=yes'],
        listen: ['/ip4/127.0.0.1/tcp/0', '/nonsense/1'],
      },
    })
    expect(problems.map(({ key, where }) => [where.replace(/^.*config/, 'config'), key])).toEqual([
      ['config.yaml:3', 'storage.quota'],
      ['config.yaml:4', 'storage.durabilty'],
      ['config.yaml:5', 'log.level'],
      ['P2PNODE_API_PORT', 'api.port'],
      ['P2PNODE_API_PROT', null],
      ['--role', 'role'],
      ['--set jobs.retention', null],
      ['--set network.mdns', 'network.mdns'],
      ['--listen', 'network.listen'],
    ])
    const messages = problems.map(({ message }) => message)
    expect(messages[0]).toMatch(/^found 5, allowed: a size from 16MiB to 4PiB with its unit/)
    expect(messages[1]).toBe('unknown key; did you mean storage.durability?')
    expect(messages[3]).toBe('found "x", allowed: a whole number from 0 to 65535')
    expect(messages[4]).toMatch('did you mean P2PNODE_API_PORT?')
    expect(messages[5]).toBe('found "king", allowed: one of master, worker, leecher')
  })

  it('says everything in its message', async () => {
    const refused = loadLayers({ env: { P2PNODE_API_PORT: '70000', P2PNODE_LOG_LEVEL: '' } })
    await expect(refused).rejects.toThrow(
      'invalid configuration, 2 problems:\n' +
        '  P2PNODE_API_PORT: api.port: found 70000, allowed: a whole number from 0 to 65535\n' +
        '  P2PNODE_LOG_LEVEL: log.level: found "", allowed: one of trace, debug, info, warn, error, silent',
    )
  })

  it('refuses a value even where a later layer replaces it', async () => {
    const problems = await problemsOf({ yaml: 'api: {port: -1}', flags: { set: ['api.port=0'] } })
    expect(problems).toMatchObject([{ key: 'api.port' }])
  })

  it.each([
    ['quota', 'storage.quota'],
    ['storage.Quota', 'storage.quota'],
    ['network.max_connections', 'network.maxConnections'],
    ['network.maxConections', 'network.maxConnections'],
    ['api.porrt', 'api.port'],
    ['netwrk', 'network'],
  ])('asks whether %s was meant to be %s', async (written, meant) => {
    const [problem] = await problemsOf({ flags: { set: [`${written}=1`] } })
    expect(problem?.message).toBe(`unknown key; did you mean ${meant}?`)
  })

  it('refuses random unknown keys from every layer', async () => {
    const name = fc.stringMatching(/^[a-z][A-Za-z]{0,12}$/)
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('.'))
    await fc.assert(
      fc.asyncProperty(
        path.filter((key) => !KEYS.has(key) && !SECTIONS.has(key)),
        fc.constantFrom('file', 'environment', 'flag'),
        async (key, layer) => {
          const variable = `P2PNODE_UNKNOWN_${key.replaceAll('.', '_').toUpperCase()}`
          const nested = key.split('.').reduceRight<unknown>((value, part) => ({ [part]: value }), 1)
          const problems = await problemsOf(
            layer === 'file'
              ? { yaml: JSON.stringify(nested) }
              : layer === 'environment'
                ? { env: { [variable]: '1' } }
                : { flags: { set: [`${key}=1`] } },
          )
          expect(problems).toHaveLength(1)
          expect(problems[0]?.message).toMatch(/^unknown|^this is a section|^found/)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('refuses a section where a value is set, and names its keys', async () => {
    const [flag] = await problemsOf({ flags: { set: ['vault.repair=1'] } })
    expect(flag?.message).toBe('this is a section; it has vault.repair.grace, vault.repair.rate')
    const [file] = await problemsOf({ yaml: 'vault: 5' })
    expect(file?.message).toMatch(/^this is a section/)
  })

  it('refuses a key given both by its own flag and by --set', async () => {
    const problems = await problemsOf({
      flags: { bootstrap: [`/ip4/192.0.2.1/tcp/1/p2p/${PEER}`], set: ['network.bootstrap=[]'] },
    })
    expect(problems).toMatchObject([
      { key: 'network.bootstrap', message: 'set twice: by --bootstrap and by --set' },
    ])
  })

  it.each([
    ['the top is a list', '- a', 'found no keys'],
    ['broken syntax', 'api:\n  port: [1', 'is not valid YAML'],
    ['a key given twice', 'role: worker\nrole: worker', 'is not valid YAML'],
    ['two documents', 'role: worker\n---\nrole: master', 'is not valid YAML'],
    ['an unknown tag', 'role: !!js/function worker', 'is not valid YAML'],
    ['a missing value', 'api:\n  port:', 'found null'],
    ['a number for text', 'network: {name: 123}', 'found 123'],
    ['text for a switch', 'network: {mdns: yes}', 'found "yes"'],
    ['a float for a whole number', 'api: {port: 1.5}', 'found 1.5'],
    ['text for a list', 'network: {listen: /ip4/127.0.0.1/tcp/0}', 'found "/ip4'],
    ['the same item twice', 'network: {listen: [/ip4/127.0.0.1/tcp/0, /ip4/127.0.0.1/tcp/0]}', 'found ['],
    ['an infinite number', 'trust: {thresholds: {store: .inf}}', 'found null'],
    ['dangerous names', '__proto__: {polluted: true}', 'unknown key'],
  ])('refuses a file: %s', async (_, yaml, message) => {
    const problems = await problemsOf({ yaml })
    expect(problems.some((problem) => problem.message.startsWith(message))).toBe(true)
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  it('survives a file of nested aliases', async () => {
    const levels = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]`)
    const problems = await problemsOf({ yaml: ['a0: &a0 [x]', ...levels, 'role: *a12'].join('\n') })
    expect(problems.length).toBeGreaterThan(0)
    for (const { message } of problems) expect(message.length).toBeLessThan(500)
  })

  it('never gets further than a refusal with arbitrary text as the file', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 200 }), async (yaml) => {
        const outcome = await loadLayers({ yaml }).catch((error: unknown) => error)
        expect(outcome).toSatisfy(
          (it: { code?: unknown; config?: object }) =>
            it.code === 'ERR_CONFIG_INVALID' || it.config !== undefined,
        )
      }),
      { numRuns: 60 },
    )
  })

  it('refuses what is not a readable text file', async () => {
    const home = await temporaryHome()
    const load = (file?: string) => loadConfig({ home, env: {}, flags: {}, file })
    await writeFile(join(home, 'latin1.yaml'), Buffer.from([0x61, 0x3a, 0xff]))
    await writeFile(join(home, 'huge.yaml'), Buffer.alloc(1024 * 1024 + 1, '#'))
    await mkdir(join(home, 'folder.yaml'))
    const found = async (name: string) => (await problemsFrom(load(join(home, name))))[0]?.message
    expect(await found('latin1.yaml')).toBe('is not UTF-8 text')
    expect(await found('huge.yaml')).toMatch(/^has 1048577 bytes/)
    expect(await found('folder.yaml')).toMatch(/not a regular file|cannot be read/)
    expect(spawnSync('mkfifo', [join(home, 'pipe.yaml')]).status).toBe(0)
    expect(await found('pipe.yaml')).toBe('is not a regular file')
    expect(await found('missing.yaml')).toBe('there is no such file')
  })
})

describe('contradictions', () => {
  it.each([
    ['more offered than there is', ['storage.quota=1GiB', 'storage.offer=2GiB'], 'storage.offer'],
    ['minimum over maximum', ['network.minConnections=400'], 'network.minConnections'],
    ['one port for two servers', ['gateway.port=4780'], 'gateway.port'],
    ['the public network in a private one', ['content.steps.ipfs=true'], 'content.steps.ipfs'],
    [
      'public entry points in a private network',
      [
        `network.bootstrap=${JSON.stringify((MODE_PROFILES.public['network.bootstrap'] as string[]).slice(0, 1))}`,
      ],
      'network.bootstrap',
    ],
    ['gateways without any', ['network.mode=public', 'content.gateways=[]'], 'content.steps.gateways'],
    ['no parity', ['vault.redundancy=rs:8/8'], 'vault.redundancy'],
    [
      'one peer over all',
      ['limits.bandwidth.global.in=1MiB/s', 'limits.bandwidth.perPeer.in=2MiB/s'],
      'limits.bandwidth.perPeer.in',
    ],
    [
      'one protocol over all',
      ['limits.bandwidth.global.out=1MiB/s', 'limits.bandwidth.protocols.chunk.out=2MiB/s'],
      'limits.bandwidth.protocols.chunk.out',
    ],
    ...[
      'always out=1MiB/s',
      '08:00-24:30 out=1MiB/s',
      '08:00-08:00 out=1MiB/s',
      '08:00-18:00',
      '08:00-18:00 out=1KiB/s',
      '08:00-18:00 out=1MiB/s out=2MiB/s',
      '08:00-18:00 up=1MiB/s',
    ].map((entry): [string, string[], string] => [
      `the schedule ${entry}`,
      [`limits.bandwidth.schedule=${JSON.stringify([entry])}`],
      'limits.bandwidth.schedule',
    ]),
    [
      'two rates at one time',
      ['limits.bandwidth.schedule=["22:00-06:00 out=1MiB/s","05:00-07:00 in=1MiB/s out=2MiB/s"]'],
      'limits.bandwidth.schedule',
    ],
    ['a protected peer that is none', ['network.peers.protect=["alice"]'], 'network.peers.protect'],
    ['an impossible address', ['api.host=300.1.1.1'], 'api.host'],
    ['an impossible name', ['gateway.host=-a'], 'gateway.host'],
    ['a gateway that is no URL', ['content.gateways=["ftp://x"]'], 'content.gateways'],
    [
      'a bootstrap address without a peer',
      ['network.bootstrap=["/ip4/192.0.2.1/tcp/4700"]'],
      'network.bootstrap',
    ],
    ['an address that is none', ['network.listen=["127.0.0.1:4700"]'], 'network.listen'],
    ['an announced address that is none', ['network.announce=["example.org"]'], 'network.announce'],
    [
      'an address whose transport is off',
      ['network.listen=["/ip4/0.0.0.0/udp/4700/quic-v1"]', 'network.transports.quic=false'],
      'network.listen',
    ],
    [
      'a certificate hash in an address whose transport is off',
      [
        'network.listen=["/ip4/0.0.0.0/udp/1/webrtc-direct/certhash/uEiAsGPzpiPGQzSlVHRXrUCT5EkTV7YFrV4VZ3hpEKTd_zg"]',
        'network.transports.webrtcDirect=false',
      ],
      'network.listen',
    ],
    ['a slot at a relay by hand', ['network.listen=["/p2p-circuit"]'], 'network.listen'],
    [
      'no transport at all',
      Object.keys(TRANSPORTS_OFF).map((name) => `network.transports.${name}=false`),
      'network.transports.tcp',
    ],
    ['an ICE server that is none', ['network.iceServers=["stun.example.org"]'], 'network.iceServers'],
    ['an ICE server that relays', ['network.iceServers=["turn:u:p@example.org"]'], 'network.iceServers'],
  ])('refuses %s', async (_, set, key) => {
    expect(await problemsOf({ flags: { set } })).toMatchObject([{ key }])
  })

  it.each([
    ['zero ports', ['api.port=0', 'gateway.port=0']],
    ['the same port on two addresses', ['gateway.port=4780', 'gateway.host=127.0.0.2']],
    ['all of the quota offered', ['storage.quota=1GiB', 'storage.offer=100%']],
    ['IPv6', ['api.host=::1']],
    [
      'a schedule over midnight, and the two directions at one time',
      ['limits.bandwidth.schedule=["22:00-06:00 out=1MiB/s","05:00-07:00 in=unlimited"]'],
    ],
    ['a protected peer', [`network.peers.protect=["${PEER}"]`]],
    ['no listening at all', ['network.listen=[]']],
    [
      'own nodes to begin with, on a private network',
      [`network.bootstrap=["/dns4/a.example/tcp/1/p2p/${PEER}"]`],
    ],
  ])('accepts %s', async (_, set) => {
    await expect(configOf({ flags: { set } })).resolves.toBeDefined()
  })
})
