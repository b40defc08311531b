import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { parse } from 'yaml'
import { describe, expect, it } from 'vitest'
import { describeConfig, formatEntries, initConfig, loadConfig, setConfig } from '../../../config/index.ts'
import { KEYS } from '../../../config/keys.ts'
import { MODE_PROFILES } from '../../../config/profiles/index.ts'
import { configOf, loadLayers, problemsFrom, temporaryHome } from '../../support/config.ts'

const load = (home: string) => loadConfig({ home, env: {}, flags: {} })

async function homeWith(yaml: string): Promise<{ home: string; path: string }> {
  const home = await temporaryHome()
  const path = join(home, 'config.yaml')
  await writeFile(path, yaml)
  return { home, path }
}

describe('config init', () => {
  it('writes a file that changes nothing and explains every key', async () => {
    const home = join(await temporaryHome(), 'new', 'home')
    const path = await initConfig({ home })
    const text = await readFile(path, 'utf8')
    expect((await load(home)).config).toEqual(await configOf({}))
    for (const { path: key, leaf } of KEYS.values()) {
      expect(text).toContain(`# ${leaf.description}\n`)
      expect(text).toMatch(new RegExp(`^ *(# )?${key.split('.').at(-1)}:`, 'm'))
    }
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(home)).mode & 0o777).toBe(0o700)
  })

  it('gives the values it shows when everything is uncommented', async () => {
    for (const choices of [{}, { public: true }, { role: 'leecher' as const }]) {
      const home = await temporaryHome()
      const path = await initConfig({ home, ...choices })
      const before = (await load(home)).config
      const text = await readFile(path, 'utf8')
      const values = text.split('\n').map((line) => line.replace(/^( *)# (?=( *- |[A-Za-z]+:( |$)))/, '$1'))
      const active = values.filter(
        (line) => !/^ *#|private: only/.test(line) && !/^ *(Allowed|full):/.test(line),
      )
      await writeFile(path, active.join('\n'))
      expect((await load(home)).config).toEqual(before)
    }
  })

  it('joins the public network where asked, with the well-known nodes written down', async () => {
    const home = await temporaryHome()
    const path = await initConfig({ home, public: true, role: 'master' })
    const { config, sources } = await load(home)
    expect(config).toMatchObject({
      role: 'master',
      network: { mode: 'public' },
      content: { steps: { ipfs: true } },
    })
    expect(parse(await readFile(path, 'utf8')).network.bootstrap).toEqual(
      MODE_PROFILES.public['network.bootstrap'],
    )
    expect(sources.get('network.bootstrap')?.layer).toBe('file')
  })

  it('never overwrites a file', async () => {
    const { home, path } = await homeWith('role: master\n')
    await expect(initConfig({ home })).rejects.toMatchObject({ code: 'ERR_CONFIG_EXISTS', kind: 'conflict' })
    expect(await readFile(path, 'utf8')).toBe('role: master\n')
  })
})

describe('config set', () => {
  it('changes one value and keeps everything else as it was', async () => {
    const { home, path } = await homeWith(
      [
        '# my node',
        'role: worker # for now',
        '',
        'storage: # disks',
        '  # enough for a while',
        '  quota: 20GiB # of 100',
        '  durability: full',
        'network:',
        '  # addresses',
        '  listen:',
        '    - /ip4/127.0.0.1/tcp/1',
        '',
        '# the end',
        '',
      ].join('\n'),
    )
    const before = await readFile(path, 'utf8')
    await setConfig({ home, changes: [{ key: 'storage.quota', value: '30GiB' }] })
    expect(await readFile(path, 'utf8')).toBe(before.replace('20GiB', '30GiB'))
    await setConfig({ home, changes: [{ key: 'network.listen', value: '["/ip4/127.0.0.1/tcp/2"]' }] })
    // A list is written anew, which may move a comment to a line of its own, but loses and reorders nothing.
    const pieces = (text: string) =>
      text
        .split(/\n| (?=#)/)
        .map((piece) => piece.trim())
        .filter((piece) => piece !== '')
    expect(pieces(await readFile(path, 'utf8'))).toEqual(
      pieces(before.replace('20GiB', '30GiB').replace('tcp/1', 'tcp/2')),
    )
    const leftovers = (await readdir(home)).filter((name) => name !== 'config.yaml')
    expect(leftovers).toEqual([])
  })

  it('adds keys and sections, also to a file of comments alone', async () => {
    const { home, path } = await homeWith('# nothing yet\n')
    await setConfig({ home, changes: [{ key: 'vault.audit.interval', value: '6h' }] })
    await setConfig({ home, changes: [{ key: 'api.port', value: '0' }] })
    await setConfig({ home, changes: [{ key: 'network.mdns', value: 'false' }] })
    const text = await readFile(path, 'utf8')
    expect(text).toContain('# nothing yet')
    expect(parse(text)).toEqual({
      vault: { audit: { interval: '6h' } },
      api: { port: 0 },
      network: { mdns: false },
    })
  })

  it('works in every section of a fresh file, keeping its explanations', async () => {
    const home = await temporaryHome()
    const path = await initConfig({ home })
    const comments = (text: string) => text.split('\n').filter((line) => /^\s*# [A-Za-z]/.test(line)).length
    const before = await readFile(path, 'utf8')
    const { config, sources } = await load(home)
    for (const { key, value } of describeConfig({ config, sources })) {
      await setConfig({
        home,
        changes: [{ key, value: typeof value === 'object' ? JSON.stringify(value) : String(value) }],
      })
    }
    const after = await readFile(path, 'utf8')
    expect((await load(home)).config).toEqual(config)
    expect(comments(after)).toBe(comments(before))
    expect([...(await load(home)).sources.values()].every(({ layer }) => layer === 'file')).toBe(true)
  })

  it('makes the file and the folder where there are none', async () => {
    const home = join(await temporaryHome(), 'new')
    const path = await setConfig({ home, changes: [{ key: 'role', value: 'master' }] })
    expect(await readFile(path, 'utf8')).toBe('role: master\n')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('refuses what would make the file invalid, and leaves it alone', async () => {
    const { home, path } = await homeWith('storage: {quota: 10GiB}\n')
    const refused = async (key: string, value: string) => {
      const problems = await problemsFrom(setConfig({ home, changes: [{ key, value }] }))
      expect(await readFile(path, 'utf8')).toBe('storage: {quota: 10GiB}\n')
      return problems
    }
    expect(await refused('storage.offer', '11GiB')).toMatchObject([{ key: 'storage.offer' }])
    expect(await refused('storage.quotta', '1GiB')).toMatchObject([
      { message: 'unknown key; did you mean storage.quota?' },
    ])
    expect(await refused('storage', '1GiB')).toMatchObject([{ key: 'storage' }])
    expect(await refused('api.port', 'http')).toMatchObject([{ key: 'api.port' }])
    expect(await refused('network.listen', '["nonsense"]')).toMatchObject([{ key: 'network.listen' }])
  })

  it('refuses a file that cannot be understood, and mends one that is wrong in just this key', async () => {
    const broken = await homeWith('api: [1\n')
    await problemsFrom(setConfig({ home: broken.home, changes: [{ key: 'api.port', value: '1' }] }))
    expect(await readFile(broken.path, 'utf8')).toBe('api: [1\n')
    const wrong = await homeWith('api: {port: http}\n')
    await setConfig({ home: wrong.home, changes: [{ key: 'api.port', value: '1' }] })
    expect(await readFile(wrong.path, 'utf8')).toBe('api: {port: 1}\n')
  })

  it('sets together what only fits together', async () => {
    const { home } = await homeWith('')
    const changes = [
      { key: 'content.steps.ipfs', value: 'true' },
      { key: 'network.mode', value: 'public' },
    ]
    await problemsFrom(setConfig({ home, changes: changes.slice(0, 1) }))
    await setConfig({ home, changes })
    expect((await load(home)).config.content.steps.ipfs).toBe(true)
  })

  it('keeps the mode of the file and a symbolic link to it', async () => {
    const home = await temporaryHome()
    await mkdir(join(home, 'real'))
    const target = join(home, 'real', 'node.yaml')
    await writeFile(target, 'role: worker\n')
    await chmod(target, 0o640)
    await symlink(target, join(home, 'config.yaml'))
    await setConfig({ home, changes: [{ key: 'role', value: 'master' }] })
    expect(await readFile(target, 'utf8')).toBe('role: master\n')
    expect((await stat(target)).mode & 0o777).toBe(0o640)
  })

  it('is not swayed by an alias in the place of the value', async () => {
    const { home, path } = await homeWith('storage: {quota: &q 20GiB, memory: *q}\n')
    await setConfig({ home, changes: [{ key: 'storage.memory', value: '1GiB' }] })
    expect(parse(await readFile(path, 'utf8'))).toEqual({ storage: { quota: '20GiB', memory: '1GiB' } })
  })
})

describe('config show', () => {
  it('prints a configuration file that gives the same configuration, with the source of each key', async () => {
    const size = fc.integer({ min: 32, max: 4096 })
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('master', 'worker', 'leecher'),
        fc.constantFrom('private', 'public'),
        size,
        fc.nat(100),
        fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,20}$/),
        fc.integer({ min: 1, max: 10 ** 9 }),
        async (role, mode, quotaMiB, percent, name, timeoutSeconds) => {
          const set = [
            `network.mode=${mode}`,
            `storage.quota=${quotaMiB}MiB`,
            `storage.offer=${percent}%`,
            `network.name=${name}`,
            `jobs.sourceTimeout=${1 + (timeoutSeconds % 86_400)}s`,
          ]
          const loaded = await loadLayers({ flags: { role, set } })
          const again = await loadLayers({ yaml: formatEntries(describeConfig(loaded)) })
          expect(again.config).toEqual(loaded.config)
        },
      ),
      { numRuns: 60 },
    )
  })

  it.each(['true', 'null', '123', '1e5', '0x10', '0o17', '1.5', 'no', 'a.b'])(
    'prints the name %s so that it stays text',
    async (name) => {
      const loaded = await loadLayers({ yaml: `network: {name: "${name}"}` })
      const again = await configOf({ yaml: formatEntries(describeConfig(loaded)) })
      expect(again.network.name).toBe(name)
    },
  )

  it('names sources so that one can go there', async () => {
    const loaded = await loadLayers({
      yaml: '\nlog:\n  level: warn\n',
      env: { P2PNODE_API_PORT: '1' },
      flags: { role: 'master', set: ['network.mdns=false'], listen: ['/ip4/127.0.0.1/tcp/0'] },
    })
    const text = formatEntries(describeConfig(loaded))
    expect(text).toContain(`  level: warn  # ${join(loaded.home, 'config.yaml')}:3\n`)
    expect(text).toContain('  port: 1  # P2PNODE_API_PORT\n')
    expect(text).toContain('role: master  # --role\n')
    expect(text).toContain('  mdns: false  # --set network.mdns\n')
    expect(text).toContain('  listen:  # --listen\n    - /ip4/127.0.0.1/tcp/0\n')
    expect(text).toContain('  dht: server  # role master\n')
    expect(text).toContain('  retention: 30d  # default\n')
  })

  it('hides credentials, in errors too, and does not take the hidden form for the secret', async () => {
    const flags = { set: ['network.mode=public', 'content.gateways=["https://user:hunter2@gw.example/"]'] }
    const loaded = await loadLayers({ flags })
    expect(loaded.config.content.gateways).toEqual(['https://user:hunter2@gw.example/'])
    const shown = formatEntries(describeConfig(loaded))
    expect(shown).toContain('https://***@gw.example/')
    expect(shown).not.toContain('hunter2')
    const hidden = await problemsFrom(loadLayers({ yaml: shown }))
    expect(hidden).toMatchObject([{ key: 'content.gateways' }])
    const wrong = await problemsFrom(
      loadLayers({ flags: { set: ['content.gateways=["ftp://user:hunter2@gw.example/"]'] } }),
    )
    expect(JSON.stringify(wrong)).not.toContain('hunter2')
  })
})
