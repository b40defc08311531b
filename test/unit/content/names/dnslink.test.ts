import { describe, expect, it } from 'vitest'
import { DnsLinks } from '../../../../src/content/names/dnslink.ts'

const options = { signal: new AbortController().signal }

function links(zone: Record<string, string[] | string>): { dns: DnsLinks; asked: string[] } {
  const asked: string[] = []
  const lookupTxt = async (host: string): Promise<string[]> => {
    asked.push(host)
    const found = zone[host]
    if (Array.isArray(found)) return found
    throw Object.assign(new Error('no'), { code: found ?? 'ENOTFOUND' })
  }
  return { dns: new DnsLinks({ links: ['Listed.example=/ipfs/bafkqaaa/docs'], lookupTxt }), asked }
}

describe('DNSLink', () => {
  it('takes what the configuration lists, and asks nobody for it', async () => {
    const { dns, asked } = links({})
    expect((await dns.resolve('listed.example', options)).value).toBe('/ipfs/bafkqaaa/docs')
    expect(asked).toEqual([])
  })

  it('asks no DNS at all in a private network', async () => {
    const dns = new DnsLinks({ links: [] })
    await expect(dns.resolve('example.org', options)).rejects.toMatchObject({
      code: 'ERR_NAME_NOT_FOUND',
      message: expect.stringContaining('private'),
    })
  })

  it('reads the record below _dnslink, else the one at the domain, and keeps the answer', async () => {
    const { dns, asked } = links({
      '_dnslink.new.example': ['v=spf1 -all', 'dnslink=/ipfs/bafkqaaa'],
      'old.example': ['dnslink=/ipns/other.example'],
    })
    expect((await dns.resolve('new.example', options)).value).toBe('/ipfs/bafkqaaa')
    expect((await dns.resolve('old.example', options)).value).toBe('/ipns/other.example')
    await dns.resolve('new.example', options)
    expect(asked).toEqual(['_dnslink.new.example', '_dnslink.old.example', 'old.example'])
  })

  it('takes the first of several by code points', async () => {
    const { dns } = links({ '_dnslink.a.example': ['dnslink=/ipfs/zzz', 'dnslink=/ipfs/bafkqaaa'] })
    expect((await dns.resolve('a.example', options)).value).toBe('/ipfs/bafkqaaa')
  })

  it('says why there is nothing, and does not ask again at once', async () => {
    const { dns, asked } = links({ '_dnslink.down.example': 'ESERVFAIL', 'down.example': 'ESERVFAIL' })
    for (const _ of [1, 2]) {
      await expect(dns.resolve('down.example', options)).rejects.toMatchObject({
        code: 'ERR_NAME_NOT_FOUND',
        message: expect.stringContaining('ESERVFAIL'),
      })
    }
    expect(asked).toHaveLength(2)
    await expect(dns.resolve('none.example', options)).rejects.toThrow('no DNSLink record')
  })

  it('refuses a record that is no path, and one that is too long', async () => {
    const { dns } = links({
      '_dnslink.bad.example': ['dnslink=http://example.org'],
      '_dnslink.long.example': [`dnslink=/ipfs/${'a'.repeat(5_000)}`],
    })
    await expect(dns.resolve('bad.example', options)).rejects.toMatchObject({ code: 'ERR_NAME_TARGET' })
    await expect(dns.resolve('long.example', options)).rejects.toMatchObject({ code: 'ERR_NAME_NOT_FOUND' })
  })
})
