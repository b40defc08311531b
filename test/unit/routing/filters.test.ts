import { describe, expect, it } from 'vitest'
import { filtered, readFilters } from '../../../src/api/routing/filters.ts'
import type { RoutedPeer } from '../../../src/content/routing/types.ts'

const TCP = '/ip4/192.0.2.1/tcp/4001'
const QUIC = '/ip6/2001:db8::1/udp/4001/quic-v1'
const WSS = '/dns4/node.example/tcp/443/tls/ws'

const peer = (addrs: string[] = [TCP, QUIC, WSS], protocols: string[] = []): RoutedPeer => ({
  id: '12D3KooWGRUfLsyJUWbM7ytJbYfSVPHQjKjxZ3VZJ9JYvbhfBPhe',
  addrs,
  protocols,
})

const addrsLeft = (filter: string, addrs?: string[]): string[] | undefined =>
  filtered(peer(addrs), readFilters({ 'filter-addrs': filter }))?.addrs

const isLeft = (filter: string, protocols: string[]): boolean =>
  filtered(peer([TCP], protocols), readFilters({ 'filter-protocols': filter })) !== undefined

describe('filters of the routing API (IPIP-484)', () => {
  it('leave addresses that have a wanted protocol and no unwanted one', () => {
    expect(addrsLeft('')).toEqual([TCP, QUIC, WSS])
    expect(addrsLeft('tcp')).toEqual([TCP, WSS])
    expect(addrsLeft('QUIC-v1,tls')).toEqual([QUIC, WSS])
    expect(addrsLeft('!ip6,!quic-v1')).toEqual([TCP, WSS])
    expect(addrsLeft('tcp,!tls')).toEqual([TCP])
    expect(addrsLeft('webtransport')).toBeUndefined()
    // The name of a protocol, not any piece of the address.
    expect(addrsLeft('443x')).toBeUndefined()
  })

  it('leave peers without addresses where that is asked for, and where nothing is', () => {
    expect(addrsLeft('unknown', [])).toEqual([])
    expect(addrsLeft('!tcp', [])).toEqual([])
    expect(addrsLeft('tcp', [])).toBeUndefined()
    expect(addrsLeft('', [])).toEqual([])
  })

  it('leave peers by what they speak, unchanged', () => {
    expect(isLeft('', [])).toBe(true)
    expect(isLeft('transport-bitswap', ['transport-bitswap', 'other'])).toBe(true)
    expect(isLeft('Transport-Bitswap', ['transport-bitswap'])).toBe(true)
    expect(isLeft('transport-bitswap', ['other'])).toBe(false)
    expect(isLeft('transport-bitswap', [])).toBe(false)
    expect(isLeft('unknown,transport-bitswap', [])).toBe(true)
  })

  it.each([
    [{ 'filter-addrs': ['tcp', 'udp'] }],
    [{ 'filter-addrs': 'x'.repeat(65) }],
    [{ 'filter-protocols': 'a,'.repeat(65) }],
    [{ 'filter-protocols': { a: 1 } }],
  ])('are refused with 422: %j', (query) => {
    expect(() => readFilters(query)).toThrow(expect.objectContaining({ status: 422 }))
  })
})
