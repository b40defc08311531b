import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../../config/index.ts'
import { bootstrapOf, flagsOf, rolesOf } from '../../../src/simulation/members.ts'

function countsOf(count: number): Record<string, number> {
  return Object.fromEntries(
    Object.entries(Object.groupBy(rolesOf(count), (role) => role)).map(([role, all]) => [role, all.length]),
  )
}

describe('the members of a simulated network', () => {
  it('have all roles from five nodes on, and always a master, who comes first', () => {
    expect(countsOf(50)).toEqual({ master: 5, worker: 35, leecher: 10 })
    expect(countsOf(5)).toEqual({ master: 1, worker: 3, leecher: 1 })
    expect(countsOf(2)).toEqual({ master: 1, worker: 1 })
    for (let count = 2; count <= 200; count += 1) {
      const roles = rolesOf(count)
      expect(roles).toHaveLength(count)
      expect(roles[0]).toBe('master')
      expect(roles.lastIndexOf('master')).toBeLessThan(roles.indexOf('worker'))
    }
  })

  it('start from two different masters where there are two', () => {
    expect(bootstrapOf('master', 0, [])).toEqual([])
    expect(bootstrapOf('master', 3, ['a', 'b'])).toEqual(['a'])
    expect(bootstrapOf('worker', 7, ['a', 'b', 'c'])).toEqual(['b', 'c'])
    expect(bootstrapOf('worker', 8, ['a', 'b', 'c'])).toEqual(['c', 'a'])
    expect(bootstrapOf('worker', 8, ['a'])).toEqual(['a'])
  })

  it('have a configuration that is valid, on loopback, with free ports, and does not look for others', async () => {
    for (const role of ['master', 'worker', 'leecher'] as const) {
      const flags = flagsOf(role, 'simulation-0', [])
      const { config } = await loadConfig({ home: '/nonexistent/p2pnode-home', env: {}, flags })
      expect(config).toMatchObject({
        role,
        api: { host: '127.0.0.1', port: 0 },
        gateway: { port: 0 },
        network: { mode: 'private', name: 'simulation-0', mdns: false, bootstrap: [] },
      })
      expect(config.network.listen).toEqual(['/ip4/127.0.0.1/tcp/0'])
    }
  })
})
