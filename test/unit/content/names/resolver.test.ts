import { beforeAll, describe, expect, it } from 'vitest'
import { DnsLinks } from '../../../../src/content/names/dnslink.ts'
import { walkNames } from '../../../../src/content/names/resolver.ts'
import type { StoredRecord } from '../../../../src/content/names/store.ts'
import type { ResolvedName } from '../../../../src/content/names/types.ts'
import { newName } from '../../../support/names.ts'

const NOW_MS = 1_000_000
const { signal } = new AbortController()
const CID_TEXT = 'bafkqaaa'

let a: string
let b: string
beforeAll(async () => {
  a = (await newName()).name.text
  b = (await newName()).name.text
})

/** Records by name, and domains; a record was seen just now and lives for long, unless it says otherwise. */
function walk(
  name: string,
  values: Record<string, string>,
  { domains = [], record = {} }: { domains?: string[]; record?: Partial<StoredRecord> } = {},
): Promise<ResolvedName> {
  const finder = {
    find: async ({ text }: { text: string }): Promise<StoredRecord | undefined> => {
      const value = values[text]
      if (value === undefined) return undefined
      const usual = {
        sequence: 1n,
        ttlMs: 60_000,
        validUntilMs: NOW_MS + 1e9,
        checkedMs: NOW_MS,
        nextMs: null,
      }
      return { ...usual, name: text, bytes: new Uint8Array(), value, ...record }
    },
  }
  const dnsLinks = new DnsLinks({ links: domains })
  return walkNames(name, { signal }, { finder, dnsLinks, now: () => NOW_MS })
}

describe('following names', () => {
  it('ends at content, with all paths on the way', async () => {
    const domains = [`start.example=/ipns/${a}/one`]
    const found = await walk(
      'start.example/three',
      { [a]: `/ipns/${b}/`, [b]: `/ipfs/${CID_TEXT}/zero/` },
      { domains },
    )
    expect(found).toEqual({ path: `/ipfs/${CID_TEXT}/zero/one/three`, ttlMs: 60_000 })
  })

  it('keeps an answer no longer than its ttl says, counted from when it was seen, nor than the record lives', async () => {
    const values = { [a]: `/ipfs/${CID_TEXT}` }
    const ttlOf = async (record: Partial<StoredRecord>) => (await walk(a, values, { record })).ttlMs
    expect(await ttlOf({ checkedMs: NOW_MS - 50_000 })).toBe(10_000)
    expect(await ttlOf({ checkedMs: NOW_MS - 500_000 })).toBe(0)
    expect(await ttlOf({ validUntilMs: NOW_MS + 5 })).toBe(5)
    expect(await ttlOf({ ttlMs: 0 })).toBe(0)
  })

  it('ends at a name that leads back', async () => {
    await expect(walk(a, { [a]: `/ipns/${a}` })).rejects.toMatchObject({ code: 'ERR_NAME_LOOP' })
    await expect(walk(a, { [a]: `/ipns/${b}`, [b]: `/ipns/${a}/x` })).rejects.toMatchObject({
      code: 'ERR_NAME_LOOP',
    })
  })

  it('follows no more than sixteen names', async () => {
    const chain = (length: number): string[] =>
      Array.from({ length }, (_, at) =>
        at === length - 1 ? `n${at}.example=/ipfs/${CID_TEXT}` : `n${at}.example=/ipns/n${at + 1}.example`,
      )
    expect((await walk('n0.example', {}, { domains: chain(16) })).path).toBe(`/ipfs/${CID_TEXT}`)
    await expect(walk('n0.example', {}, { domains: chain(17) })).rejects.toMatchObject({
      code: 'ERR_NAME_LOOP',
    })
  })

  it.each([
    '/ipfs/',
    '/ipfs/nonsense',
    '/ipns/',
    '/ipns/nonsense',
    '/http/example.org',
    '/',
    `/ipfs/${'x'.repeat(9_000)}`,
  ])('refuses a record that points at %s', async (value) => {
    await expect(walk(a, { [a]: value })).rejects.toMatchObject({ code: 'ERR_NAME_TARGET' })
  })

  it('says of a name without a record that nobody has one', async () => {
    await expect(walk(a, {})).rejects.toMatchObject({ code: 'ERR_NAME_NOT_FOUND', kind: 'not-found' })
  })
})
