import fc from 'fast-check'
import { base36 } from 'multiformats/bases/base36'
import { describe, expect, it } from 'vitest'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { cidLabel, inlineDns, keyText, readCid, readKey, uninlineDns } from '../../../src/api/gateway/ids.ts'
import { ascii, decide } from '../../../src/api/gateway/target.ts'
import { rawBlock } from '../../support/gateway.ts'

const { cid } = rawBlock('hello')
const HOSTS = ['localhost', 'gw.example.net']
const decided = (authority: string, url: string) => decide({ url, authority, scheme: 'http' }, HOSTS)

describe('what a request names', () => {
  it('never throws anything but its own errors, and never sends a client to another host', () => {
    const authority = fc.oneof(
      fc.constantFrom(
        'localhost',
        'localhost:80',
        'gw.example.net',
        '127.0.0.1:1',
        '[::1]:1',
        'a.example.org',
        '',
      ),
      fc.domain(),
      fc
        .tuple(
          fc.constantFrom(cid.toString(), 'x', 'a-b'),
          fc.constantFrom('.ipfs.localhost', '.ipns.gw.example.net:8'),
        )
        .map(([label, rest]) => label + rest),
    )
    const path = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.webPath(),
      fc
        .tuple(fc.constantFrom('/ipfs/', '/ipns/', '/'), fc.string(), fc.webPath())
        .map((parts) => parts.join('')),
      fc.webPath().map((rest) => `/ipfs/${cid}${rest}`),
      fc.string().map((rest) => `//${rest}`),
    )
    fc.assert(
      fc.property(authority, path, (host, url) => {
        try {
          const decision = decided(host, url.startsWith('/') ? url : `/${url}`)
          if (decision.kind !== 'redirect') return
          const own = new URL('http://own.invalid/')
          const { hostname } = new URL(decision.location, own)
          const allowed = hostname === own.hostname || HOSTS.some((name) => hostname.endsWith(`.${name}`))
          expect(allowed).toBe(true)
          expect(decision.location).toMatch(/^[\x21-\x7e]*$/)
        } catch (error) {
          expect(error).toBeInstanceOf(P2pnodeError)
        }
      }),
    )
  })

  it('is walked in names that no file system would follow elsewhere', () => {
    const names = fc.array(fc.string({ minLength: 1, unit: 'grapheme' }), { maxLength: 10 })
    fc.assert(
      fc.property(names, (wanted) => {
        const path = wanted.map(encodeURIComponent).join('/')
        const flat = wanted.flatMap((name) => name.split('/')).filter((name) => name !== '')
        const isRefused = flat.some((name) => name === '.' || name === '..' || name.includes('\0'))
        const decide = () => decided('127.0.0.1', `/ipfs/${cid}/${path}`)
        if (isRefused) expect(decide).toThrow(/invalid path/)
        else expect(decide()).toMatchObject({ kind: 'target', target: { path: flat } })
      }),
    )
  })

  it('leaves what is no content to other routes', () => {
    expect(decided('127.0.0.1', '/routing/v1/providers/x')).toEqual({ kind: 'other' })
    expect(decided('a.example.org', '/routing/v1/providers/x')).toEqual({ kind: 'other' })
    expect(decided('a.example.org', '/x')).toMatchObject({
      kind: 'maybe-dnslink',
      otherwise: { kind: 'other' },
    })
    expect(decided('a.example.org', '/ipfs/nonsense')).toMatchObject({ otherwise: { kind: 'other' } })
  })
})

describe('texts of roots', () => {
  it('are read in every form, and written in one', () => {
    for (const text of [cid.toString(), cid.toString(base36)])
      expect(cidLabel(readCid(text)!)).toBe(cid.toString())
    const key = 'k51qzi5uqu5dk3v4rmjber23h16xnr23bsggmqqil9z2gduiis5se8dht36dam'
    const peer = '12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d'
    for (const text of [key, peer]) expect(keyText(readKey(text)!)).toBe(key)
    for (const text of ['', 'Qm', '1', 'example.org', 'en-wikipedia--on--ipfs-org', 'k', '\0']) {
      expect(readKey(text)).toBeUndefined()
    }
  })

  it('of DNS names go into a label and out again', () => {
    const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,8}[a-z0-9])?$/)
    fc.assert(
      fc.property(fc.array(label, { minLength: 2, maxLength: 4 }), (labels) => {
        const name = labels.join('.')
        const inlined = name.replaceAll('-', '--').replaceAll('.', '-')
        if (inlined.length > 63) expect(() => inlineDns(name)).toThrow(/too long/)
        else expect(uninlineDns(inlineDns(name))).toBe(name)
      }),
    )
  })

  it('are safe in headers', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => /^[\x21-\x7e]*$/.test(ascii(text))))
  })
})
