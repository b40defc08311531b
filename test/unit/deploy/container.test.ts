import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { loadConfig } from '../../../config/index.ts'
import { createProgram } from '../../../src/cli/index.ts'
import { execForm, readDockerfile } from '../../support/dockerfile.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const dockerfile = readDockerfile(`${root}/Dockerfile`)
const only = (name: string) => {
  const found = dockerfile.filter((one) => one.name === name)
  expect(found, name).toHaveLength(1)
  return found[0]!
}

interface Service {
  command: string[]
  environment: Record<string, string>
  volumes: string[]
  ports?: string[]
  healthcheck: { test: string[]; start_period: string; timeout: string; interval: string; retries: number }
  stop_grace_period: string
  depends_on?: Record<string, { condition: string }>
  build: { context: string }
}
const compose = parse(readFileSync(`${root}/deploy/compose.yaml`, 'utf8'), { merge: true }) as {
  services: Record<string, Service>
  volumes: Record<string, unknown>
  networks: Record<string, unknown>
}
/** Ports that a node listens on by default, as `4700/tcp`, and the one where a private network's door is. */
const swarmPorts = ['4700/tcp', '4701/tcp', '4700/udp', '4702/udp', '4703/tcp'].sort()

/** Whether the command line takes these words; what it would do is not done. */
async function parses(words: string[]): Promise<string> {
  let ran = ''
  const program = createProgram(async (command) => {
    ran = command.name()
  })
  await program.parseAsync(words, { from: 'user' })
  return ran
}

describe('the image', () => {
  it('runs the built package as a user without rights, under an init, and looks after itself', async () => {
    expect(only('USER').text).toMatch(/^[1-9]\d*:[1-9]\d*$/)
    const [init, dashes, program] = execForm(only('ENTRYPOINT'))
    expect([init, dashes, program]).toEqual(['tini', '--', 'p2pnode'])
    expect(await parses(execForm(only('CMD')))).toBe('start')
    const [own, ...words] = execForm(only('HEALTHCHECK'))
    expect(own).toBe('p2pnode')
    expect(await parses(words)).toBe('status')
    expect(only('EXPOSE').words.sort()).toEqual(swarmPorts)
    expect(only('ENV').text).toBe(`P2PNODE_HOME=${execForm(only('VOLUME'))[0]}`)
    expect(dockerfile.filter(({ name }) => name === 'FROM')).toHaveLength(2)
  })

  it('exposes the ports that a node listens on by default', async () => {
    const { config } = await loadConfig({ home: '/nonexistent/p2pnode-home', env: {}, flags: {} })
    const ports = [...config.network.listen, ...config.swarm.listen].map((address) => {
      const [, kind, port] = /\/(tcp|udp)\/(\d+)/.exec(address) ?? []
      return `${port}/${kind}`
    })
    expect([...new Set(ports)].sort()).toEqual(swarmPorts)
  })

  it('is built from what is needed, and from nothing else', () => {
    const lines = readFileSync(`${root}/.dockerignore`, 'utf8').split('\n')
    expect(lines).toContain('*')
    const { files } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { files: string[] }
    for (const name of files.filter((name) => name !== 'dist')) expect(lines).toContain(`!${name}`)
    expect(lines).not.toContain('!test')
  })

  it('satisfies hadolint', (test) => {
    const { status, stdout, error } = spawnSync('hadolint', [`${root}/Dockerfile`], { encoding: 'utf8' })
    if (error !== undefined) {
      console.warn('SKIPPED: there is no hadolint on this machine')
      return test.skip()
    }
    expect(status, stdout).toBe(0)
    return undefined
  })
})

describe('the compose file', () => {
  it('has a node of each role, each with its own data', async () => {
    expect(Object.keys(compose.services)).toEqual(['master', 'worker', 'leecher'])
    for (const [role, service] of Object.entries(compose.services)) {
      expect(await parses(service.command)).toBe('start')
      expect(service.command.slice(-2)).toEqual(['--role', role])
      expect(service.volumes).toEqual([`${role}:${execForm(only('VOLUME'))[0]}`])
      expect(service.build.context).toBe('..')
    }
    expect(Object.keys(compose.volumes).sort()).toEqual(Object.keys(compose.services).sort())
  })

  it('sets keys that exist, to values that are allowed', async () => {
    for (const [role, { environment }] of Object.entries(compose.services)) {
      const env = Object.fromEntries(
        Object.entries(environment).map(([name, value]) => [
          name,
          /^\$\{\w+:-(.*)\}$/.exec(value)?.[1] ?? value,
        ]),
      )
      const { config } = await loadConfig({ home: '/nonexistent/p2pnode-home', env, flags: { role } })
      expect(config.role).toBe(role)
    }
  })

  it('looks after its nodes as the image does, and gives a stop the time it may take', () => {
    const image = only('HEALTHCHECK')
    const option = (name: string) => image.words.find((word) => word.startsWith(`--${name}=`))?.split('=')[1]
    for (const { healthcheck, stop_grace_period, depends_on = {} } of Object.values(compose.services)) {
      expect(healthcheck).toEqual({
        test: ['CMD', ...execForm(image)],
        interval: option('interval'),
        timeout: option('timeout'),
        start_period: option('start-period'),
        retries: Number(option('retries')),
      })
      expect(Number.parseInt(stop_grace_period, 10)).toBeGreaterThan(10)
      for (const [name, { condition }] of Object.entries(depends_on)) {
        expect(Object.keys(compose.services)).toContain(name)
        expect(condition).toBe('service_healthy')
      }
    }
  })

  it('publishes the swarm ports of the master, and never the API', () => {
    const published = Object.entries(compose.services).flatMap(([role, { ports = [] }]) =>
      ports.map((port) => [role, ...port.split(':')]),
    )
    expect(published.map(([role, outside, inside]) => [role, inside?.startsWith(`${outside}/`)])).toEqual(
      swarmPorts.map(() => ['master', true]),
    )
    expect(published.map(([, , inside = '']) => inside).sort()).toEqual(swarmPorts)
  })
})
