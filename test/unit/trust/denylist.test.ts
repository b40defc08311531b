import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { base32 } from 'multiformats/bases/base32'
import { base58btc } from 'multiformats/bases/base58'
import { CID } from 'multiformats/cid'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDenylist, type Denylist } from '../../../src/trust/denylist/index.ts'
import { contentRule, DenyRules, RuleProblem } from '../../../src/trust/denylist/rules.ts'
import { eventually, quietLogger } from '../../support/network.ts'
import { newPeer, openTrust } from '../../support/trust.ts'

/** The rules by which implementations of the format are compared; the CIDs are those of its own tests. */
const PUBLISHED = `version: 1
name: "published"
---
# rule1: by CID, whatever its codec and text form
/ipfs/bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq

/ipfs/QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8/*
/ipfs/Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2/test*
/ipfs/QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC/test/*
/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked* reason=tests
!/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blockednot
!/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked/not
!/ipfs/QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK/blocked/exceptions*
/ipns/domain.example
/ipns/domain2.example/path
/ipns/k51qzi5uqu5dhmzyv3zac033i7rl9hkgczxyl81lwoukda2htteop7d3x0y1mf
//d9d295bde21f422d471a90f2a37ec53049fdf3e5fa3ee2e8f20e10003da429e7
//3f8b9febd851873b3774b937cce126910699ceac56e72e64b866f8e258d09572
//QmX9dhRcQcKUw3Ws8485T5a9dtjrSCQaUAHnG4iK9i4ceM
`

const cid = (text: string): CID => CID.parse(text)
const names = (path: string): string[] => path.split('/').filter((name) => name !== '')

function rulesOf(text: string): DenyRules {
  const rules = new DenyRules()
  for (const line of text.slice(text.indexOf('---\n') + 4).split('\n')) rules.add(line)
  return rules
}

describe('the rules that the format was published with', () => {
  const rules = rulesOf(PUBLISHED)
  const paths = (root: string, path: string): boolean => rules.deniesPath(cid(root), names(path))

  it.each([
    ['bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq', '', true],
    ['bafkreihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq', '', true],
    ['QmesfgDQ3q6prBy2Kg2gKbW4MAGuWiRP2DVuGA5MZSERLo', '', true],
    ['QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8', '', true],
    ['QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8', 'some/path', true],
    ['Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2', '', false],
    ['Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2', 'testing', true],
    ['Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2', 'another', false],
    ['QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC', 'test', true],
    ['QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC', 'test/one', true],
    ['QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK', 'blocked', true],
    ['QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK', 'blockedtoo', true],
    ['QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK', 'blockednot', false],
    ['QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK', 'blocked/not', false],
    ['QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK', 'blocked/exceptions1', false],
    ['QmUboz9UsQBDeS6Tug1U8jgoFkgYxyYood9NDyVURAY9pK', 'blocked/yes', true],
    ['bafybeiefwqslmf6zyyrxodaxx4vwqircuxpza5ri45ws3y5a62ypxti42e', '', true],
    ['bafybeiefwqslmf6zyyrxodaxx4vwqircuxpza5ri45ws3y5a62ypxti42e', 'path', true],
    ['bafkreiefwqslmf6zyyrxodaxx4vwqircuxpza5ri45ws3y5a62ypxti42e', '', false],
    ['bafybeidjwik6im54nrpfg7osdvmx7zojl5oaxqel5cmsz46iuelwf5acja', '', true],
    ['QmVTF1yEejXd9iMgoRTFDxBv7HAz9kuZcQNBzHrceuK9HR', '', true],
  ])('%s/%s: %s', (root, path, isDenied) => expect(paths(root, path)).toBe(isDenied))

  it.each([
    ['domain.example', '', true],
    ['Domain.Example', 'any/path', true],
    ['domain2.example', '', false],
    ['domain2.example', 'path', true],
    ['domain3.example', 'path', false],
    ['k51qzi5uqu5dhmzyv3zac033i7rl9hkgczxyl81lwoukda2htteop7d3x0y1mf', '', true],
    ['bafzaajaiaejcaotjfs57kieazxny5japcmy5p2pgv2cic77tu6ogghttvurnrufx', '', true],
    ['12D3KooWDkNqEJNmreF3NYYFK1ws7Ra2fuW6cHBTu567SPV3LdYA', '', true],
  ])('/ipns/%s/%s: %s', (name, path, isDenied) => expect(rules.deniesName(name, names(path))).toBe(isDenied))
})

describe('rules', () => {
  const root = cid('bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq')

  it('count in their order: the last that matches', () => {
    const rules = new DenyRules()
    rules.add(`/ipfs/${root}`)
    rules.add(`!/ipfs/${root}`)
    expect(rules.deniesCid(root)).toBe(false)
    rules.add(`/ipfs/${root}/*`)
    expect(rules.deniesCid(root)).toBe(true)
    const hashed = createHash('sha256')
      .update(`${root.toV1().toString(base32)}/`)
      .digest('hex')
    rules.add(`!//${hashed}`)
    expect(rules.deniesCid(root)).toBe(false)
  })

  it('know a path in its encoding, and a domain or a multihash by their hashes', () => {
    const rules = new DenyRules()
    rules.add(`/ipfs/${root}/a%20b/c/`)
    expect(rules.deniesPath(root, ['a b', 'c'])).toBe(true)
    expect(rules.deniesCid(root)).toBe(false)
    const digest = createHash('sha256').update('bad.example/').digest('hex')
    rules.add(`//${digest}`)
    expect(rules.deniesName('bad.example', [])).toBe(true)
    const other = cid('QmVTF1yEejXd9iMgoRTFDxBv7HAz9kuZcQNBzHrceuK9HR')
    rules.add(`/ipfs/${base58btc.baseEncode(other.multihash.bytes)}`)
    expect(rules.deniesCid(other.toV1())).toBe(true)
  })

  it('refuse what is no rule, and take comments and hints', () => {
    const rules = new DenyRules()
    for (const line of ['', '   ', '# /ipfs/x']) expect(rules.add(line)).toBe(false)
    for (const line of [
      'nonsense',
      '/ipfs/',
      '/ipfs/nothing',
      '/ipns/',
      '//',
      '//zz',
      `//${base58btc.baseEncode(cid('bafkr4ibgpexm7cqp5jcmcutxptmbhzt5cyoqmk6qmcdknpzbpmlllmlpgy').multihash.bytes)}`,
      `/ipfs/${root}/%zz`,
      '/ipld/x',
      '!',
      `/ipfs/${root}/${'a'.repeat(65 * 1024)}`,
    ])
      expect(() => rules.add(line), line.slice(0, 40)).toThrow(RuleProblem)
    expect(rules.size).toBe(0)
    expect(rules.deniesCid(root)).toBe(false)
    fc.assert(
      fc.property(
        fc.string({ maxLength: 200 }),
        fc.constantFrom('', '/ipfs/', '/ipns/', '//', '!//'),
        (text, start) => {
          try {
            new DenyRules().add(start + text)
          } catch (error) {
            expect(error).toBeInstanceOf(RuleProblem)
          }
        },
      ),
    )
  })

  it('of an operator are told from peers', () => {
    expect(contentRule(root.toString())).toBe(`/ipfs/${root}`)
    expect(contentRule(`/ipfs/${root}/a*`)).toBe(`/ipfs/${root}/a*`)
    expect(contentRule('/ipns/domain.example')).toBe('/ipns/domain.example')
    for (const peer of [
      '12D3KooWDkNqEJNmreF3NYYFK1ws7Ra2fuW6cHBTu567SPV3LdYA',
      'bafzaajaiaejcaotjfs57kieazxny5japcmy5p2pgv2cic77tu6ogghttvurnrufx',
      'QmVTF1yEejXd9iMgoRTFDxBv7HAz9kuZcQNBzHrceuK9HR',
      '203.0.113.0/24',
      'did:key:z6Mk',
      '/nonsense',
    ])
      expect(contentRule(peer), peer).toBeUndefined()
  })
})

describe('files', () => {
  const first = cid('bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq')
  const second = cid('QmVTF1yEejXd9iMgoRTFDxBv7HAz9kuZcQNBzHrceuK9HR')
  let folder: string
  let log: ReturnType<typeof quietLogger>
  let list: Denylist
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'p2pnode-deny-'))
    log = quietLogger()
    list = createDenylist({ folder, log })
  })
  afterEach(async () => {
    list.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('are read with and without a header, and again when they change', async () => {
    await writeFile(join(folder, 'a.deny'), PUBLISHED)
    await writeFile(join(folder, 'b.deny'), `/ipfs/${first}\r\nnot a rule\n`)
    await writeFile(join(folder, 'c.txt'), `/ipfs/${second}\n`)
    await list.start()
    expect(list.deniesText(first.toString())).toBe(true)
    expect(list.deniesText('no CID')).toBe(false)
    expect(log.warnings).toEqual([
      [expect.objectContaining({ line: 2, problem: 'no rule begins like this' }), expect.any(String)],
    ])
    await writeFile(join(folder, 'a.deny'), '')
    await appendFile(join(folder, 'b.deny'), `!/ipfs/${first}\n`)
    await eventually('the change is seen', () => !list.deniesText(first.toString()))
  })

  it('of another version, or with a header that is none, are left out whole', async () => {
    await writeFile(join(folder, 'a.deny'), `version: 2\n---\n/ipfs/${first}\n`)
    await writeFile(join(folder, 'b.deny'), `a: [\n---\n/ipfs/${first}\n`)
    await writeFile(join(folder, 'c.deny'), `/ipfs/${second}\n`)
    await list.start()
    expect(list.deniesCid(first)).toBe(false)
    expect(list.deniesCid(second)).toBe(true)
    expect(log.warnings).toHaveLength(2)
  })

  it('cannot undo what the operator blocked', async () => {
    await writeFile(join(folder, 'a.deny'), `!/ipfs/${first}\n`)
    await list.start()
    expect(list.deniesText(first.toString())).toBe(false)
    list.setOwn([`/ipfs/${first}`])
    expect(list.deniesText(first.toString())).toBe(true)
    list.setOwn([])
    expect(list.deniesText(first.toString())).toBe(false)
  })
})

describe('trust', () => {
  it('refuses listed content to everybody and for everything, over restarts, and counts why', async () => {
    const fixture = await openTrust()
    const { peer } = await newPeer()
    const root = cid('bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq')
    const denied = { allowed: false, reason: 'content-deny-list' }
    const subject = { cid: cid('QmesfgDQ3q6prBy2Kg2gKbW4MAGuWiRP2DVuGA5MZSERLo').toString() }
    expect(fixture.trust.decide(peer, 'serve-content', subject)).toEqual({ allowed: true })
    fixture.trust.allow(peer)
    fixture.trust.block(root.toString(), 'law')
    for (const action of ['serve-content', 'serve-bitswap', 'proxy', 'fetch'] as const)
      expect(fixture.trust.decide(peer, action, subject)).toEqual(denied)
    expect(fixture.trust.decide(peer, 'serve-content')).toEqual({ allowed: true })
    expect(fixture.trust.decideContent('read', { cid: root })).toEqual(denied)
    expect(fixture.trust.decideContent('tell', { cid: root, path: ['a'] })).toEqual(denied)
    expect(fixture.trust.decideContent('read', { name: 'domain.example', path: [] })).toEqual({
      allowed: true,
    })
    expect(fixture.trust.denials()).toMatchObject({
      'serve-content': { 'content-deny-list': 1 },
      read: { 'content-deny-list': 1 },
      tell: { 'content-deny-list': 1 },
    })
    expect(fixture.trust.list().blocked).toEqual([
      { peer: `/ipfs/${root}`, reason: 'law', sinceMs: expect.any(Number) },
    ])
    const again = fixture.reopen()
    expect(again.decide(peer, 'proxy', subject)).toEqual(denied)
    expect(again.unblock(`/ipfs/${root}`)).toBe(true)
    expect(again.decide(peer, 'serve-content', subject)).toEqual({ allowed: true })
    again.stop()
    await fixture.close()
  })
})
