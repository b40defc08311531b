import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { Clients, clientOf } from '../../../src/api/gateway/clients.ts'
import { ContentTypes, isActive } from '../../../src/api/gateway/content-type.ts'
import { negotiate } from '../../../src/api/gateway/format.ts'
import { escapeHtml, linkName, sizeText } from '../../../src/api/gateway/html.ts'
import { rangesAsked } from '../../../src/api/gateway/ranges.ts'
import { parseRedirects, redirectionOf } from '../../../src/api/gateway/redirects-file.ts'
import { rawBlock } from '../../support/gateway.ts'

const query = (text = ''): URLSearchParams => new URLSearchParams(text)

describe('clients', () => {
  it.each([
    ['203.0.113.9', '203.0.113.9'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:1:2::6', '2001:db8:1:2::/64'],
    ['2001:db8::6', '2001:db8:0:0::/64'],
    ['::2', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['', ''],
  ])('%s is of %s', (address, client) => {
    expect(clientOf(address)).toBe(client)
  })

  it('have no more open than they may, whatever comes and goes, and nothing is left of those who went', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3), fc.boolean())), (steps) => {
        const clients = new Clients(2, (address) => address !== '0')
        const open = new Map<string, (() => void)[]>()
        for (const [number, isEntering] of steps) {
          const address = String(number)
          const own = open.get(address) ?? []
          open.set(address, own)
          if (!isEntering) {
            own.pop()?.()
            continue
          }
          const leave = clients.beginRequest(address)
          expect(leave === undefined).toBe(address !== '0' && own.length === 2)
          if (leave !== undefined) own.push(leave)
        }
        for (const leave of [...open.values()].flat()) leave()
        for (const address of open.keys()) {
          expect(clients.beginRequest(address)).toBeDefined()
          expect(clients.beginRequest(address)).toBeDefined()
        }
      }),
    )
  })
})

describe('formats', () => {
  it.each([
    [undefined, '', undefined],
    ['*/*', '', undefined],
    ['text/html,application/xhtml+xml,*/*;q=0.8', '', 'html'],
    ['application/vnd.ipld.car;q=0.1, application/vnd.ipld.raw', '', 'raw'],
    ['application/vnd.ipld.raw;q=0, application/vnd.ipld.car', '', 'car'],
    ['application/vnd.ipld.raw', 'format=tar', 'tar'],
    ['APPLICATION/JSON', '', 'json'],
  ])('Accept %j and %j ask for %j', (accept, search, format) => {
    expect(negotiate(accept, query(search)).format).toBe(format)
  })

  it('of any header and query are one, or an error of ours', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (accept, search) => {
        try {
          negotiate(accept, query(`format=${search}`))
        } catch (error) {
          expect(error).toBeInstanceOf(P2pnodeError)
        }
      }),
    )
  })
})

describe('ranges', () => {
  it('lie within the content, and are no more bytes than it has', () => {
    const bound = fc.oneof(fc.constant(''), fc.nat(300).map(String), fc.constant('99999999999999999999'))
    const header = fc.array(fc.tuple(bound, bound), { minLength: 1, maxLength: 10 })
    fc.assert(
      fc.property(header, fc.nat(200), (asked, size) => {
        const range = `bytes=${asked.map((pair) => pair.join('-')).join(', ')}`
        try {
          const ranges = rangesAsked({ range }, size, '"tag"')
          if (ranges === undefined) return
          let total = 0
          for (const { start, end } of ranges) {
            expect(start).toBeGreaterThanOrEqual(0)
            expect(end).toBeGreaterThanOrEqual(start)
            expect(end).toBeLessThan(size)
            total += end - start + 1
          }
          expect(total).toBeLessThanOrEqual(size)
        } catch (error) {
          expect(error).toMatchObject({ status: 416 })
        }
      }),
    )
  })
})

describe('types', () => {
  const typeOf = (name: string, text: string | Uint8Array) => {
    const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text
    return new ContentTypes().of(name, rawBlock(bytes).cid, async () => bytes)
  }
  it.each([
    ['a.html', 'text', 'text/html; charset=utf-8'],
    ['a.txt', '<html>', 'text/plain; charset=utf-8'],
    ['a', '  <!DOCTYPE html>', 'text/html; charset=utf-8'],
    ['a', '<?xml version="1.0"?><svg xmlns="x">', 'image/svg+xml'],
    ['a', '{"a":1}', 'application/json'],
    ['a', '{"a":', 'text/plain; charset=utf-8'],
    ['a', 'just text', 'text/plain; charset=utf-8'],
    ['a', '', 'text/plain; charset=utf-8'],
    ['a', new Uint8Array([0, 1, 2]), 'application/octet-stream'],
    ['a', new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), 'application/octet-stream'],
    ['a.constructor', new Uint8Array([0]), 'application/octet-stream'],
    ['__proto__', new Uint8Array([0]), 'application/octet-stream'],
  ])('%s with %j is %s', async (name, text, type) => {
    const told = await typeOf(name, text)
    // A mark without what follows it may or may not be enough for a format.
    if (text instanceof Uint8Array && text[0] === 0x89)
      expect(told).toMatch(/^(image\/png|application\/octet-stream)$/)
    else expect(told).toBe(type)
  })

  it('that run are known', () => {
    for (const type of [
      'text/html; charset=utf-8',
      'image/svg+xml',
      'application/xhtml+xml',
      'text/xml',
      'application/pdf',
    ])
      expect(isActive(type)).toBe(true)
    for (const type of ['image/png', 'text/plain', 'application/json']) expect(isActive(type)).toBe(false)
  })
})

describe('pages', () => {
  it('hold texts that stay texts', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(escapeHtml(text)).not.toMatch(/[<>"']/)
        expect(linkName(text)).not.toMatch(/[<>"'/?#\s]/)
      }),
    )
    expect([sizeText(0), sizeText(999), sizeText(1536), sizeText(2 ** 50)]).toEqual([
      '0 B',
      '999 B',
      '1.50 KiB',
      '1.00 PiB',
    ])
  })
})

describe('_redirects', () => {
  const rules = (text: string) => parseRedirects(text)
  const to = (text: string, path: string, search = '') =>
    redirectionOf(
      rules(text),
      path.split('/').filter((name) => name !== ''),
      query(search),
    )

  it('are matched in their order', () => {
    const text = '# first\n\n  /a/:x\t/b/:x 302  \r\n/a/* /c/:splat\n/* /d 200'
    expect(to(text, '/a/1')).toEqual({ status: 302, to: '/b/1' })
    expect(to(text, '/a/1/2')).toEqual({ status: 301, to: '/c/1/2' })
    expect(to(text, '/')).toEqual({ status: 200, to: '/d' })
    expect(to('/a /b', '/a/b')).toBeUndefined()
    expect(to('/a/:x/:y /:y/:x/:x', '/a/1/2')).toEqual({ status: 301, to: '/2/1/1' })
  })

  it('merge queries, those of the request first', () => {
    expect(to('/a /b?x=1&y=2#z', '/a', 'y=3&w=4')).toEqual({ status: 301, to: '/b?x=1&y=3&w=4#z' })
    expect(to('/a /b?x=1', '/a')).toEqual({ status: 301, to: '/b?x=1' })
  })

  it.each([
    ['/a', /from to/],
    ['/a /b 301!', /status/],
    ['/a /b 999', /status/],
    ['/a /b 301 more', /more than/],
    ['a /b', /begin with a slash/],
    ['/a b', /must be a path/],
    ['/a //evil.example', /must be a path/],
    ['/a javascript:alert(1)', /must be a path/],
    ['/a https://x.example/ 200', /must be a path/],
    ['/:x/:x /b', /twice/],
    ['/*/a /b', /asterisk/],
    ['/a*b /b', /asterisk/],
  ])('refuse %j', (text, reason) => {
    expect(() => rules(text)).toThrow(reason)
  })

  it('never lead elsewhere by what a request says, nor break a header', () => {
    const names = fc.array(fc.string({ minLength: 1, unit: 'binary' }), { maxLength: 6 })
    fc.assert(
      fc.property(names, fc.string({ unit: 'binary' }), (path, value) => {
        const search = new URLSearchParams({ q: value })
        for (const text of ['/* /new/:splat', '/:a/* /:a/x', '/* https://example.net/:splat']) {
          const found = redirectionOf(rules(text), path, search)
          if (found === undefined) continue
          expect(found.to).toMatch(/^[\x21-\x7e]*$/)
          const { hostname } = new URL(found.to, 'http://own.invalid/')
          expect(['own.invalid', 'example.net']).toContain(hostname)
        }
      }),
    )
  })

  it('of any text are rules or say what is wrong', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          rules(text)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
        }
      }),
    )
  })
})
