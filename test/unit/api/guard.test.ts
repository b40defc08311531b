import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import { HostGuard, isLoopback } from '../../../src/api/guard.ts'

const request = (headers: Record<string, string>): IncomingMessage =>
  ({ headers }) as unknown as IncomingMessage
const refusal = (guard: HostGuard, headers: Record<string, string>): string | undefined => {
  try {
    guard.check(request(headers))
    return undefined
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('the Host header', () => {
  const guard = new HostGuard('127.0.0.1', ['node.lan'])

  it.each([
    'localhost',
    'localhost:4780',
    'LocalHost:1',
    'localhost.:80',
    '127.0.0.1:4780',
    '[::1]:4780',
    '[::1]',
    'node.lan:80',
  ])('%s names this node', (host) => {
    expect(refusal(guard, { host })).toBeUndefined()
  })

  it.each([
    '',
    'evil.example',
    'evil.example:4780',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '192.168.1.5:4780',
    'localhost@evil.example',
    'localhost:port',
    '[::1',
    '127.0.0.1:4780:1',
  ])('%s does not', (host) => {
    expect(refusal(guard, { host })).toBe('ERR_HOST_REFUSED')
  })

  it('may be any address, but no name, where the node listens on all addresses', () => {
    for (const wildcard of ['0.0.0.0', '::']) {
      const open = new HostGuard(wildcard)
      expect(refusal(open, { host: '192.168.1.5:4780' })).toBeUndefined()
      expect(refusal(open, { host: '[fe80::1]:4780' })).toBeUndefined()
      expect(refusal(open, { host: 'evil.example' })).toBe('ERR_HOST_REFUSED')
    }
  })
})

describe('the Origin header', () => {
  const guard = new HostGuard('127.0.0.1')
  const host = '127.0.0.1:4780'

  it('may name this very origin', () => {
    expect(refusal(guard, { host, origin: 'http://127.0.0.1:4780' })).toBeUndefined()
  })

  it.each([
    'null',
    '',
    'http://evil.example',
    'http://127.0.0.1:4781',
    'http://localhost:4780',
    'file://',
    'http://127.0.0.1',
  ])('%s is another site', (origin) => {
    expect(refusal(guard, { host, origin })).toBe('ERR_ORIGIN_REFUSED')
  })

  it('left out by a browser is made up for by Sec-Fetch-Site', () => {
    const fetched = (site: string, mode: string) =>
      refusal(guard, { host, 'sec-fetch-site': site, 'sec-fetch-mode': mode })
    expect(fetched('cross-site', 'no-cors')).toBe('ERR_ORIGIN_REFUSED')
    expect(fetched('same-site', 'cors')).toBe('ERR_ORIGIN_REFUSED')
    expect(fetched('cross-site', 'navigate')).toBeUndefined()
    expect(fetched('same-origin', 'cors')).toBeUndefined()
    expect(fetched('none', 'navigate')).toBeUndefined()
  })
})

it('knows addresses of this machine', () => {
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])
    expect(isLoopback(address)).toBe(true)
  for (const address of [undefined, '', '10.0.0.1', '::ffff:10.0.0.1', '::', '128.0.0.1']) {
    expect(isLoopback(address)).toBe(false)
  }
})
