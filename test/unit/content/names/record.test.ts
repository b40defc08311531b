import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { MAX_RECORD_BYTES, MAX_TTL_MS } from '../../../../src/content/names/limits.ts'
import { parseName } from '../../../../src/content/names/name.ts'
import { ipnsNamespace } from '../../../../src/content/names/namespace.ts'
import { isBetter, readRecord, routingKey, signRecord } from '../../../../src/content/names/record.ts'
import { newName, rawRecord, type SignedName } from '../../../support/names.ts'
import vectors from './vectors/ipns-records.json' with { type: 'json' }

const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const HOUR_MS = 3_600_000

let own: SignedName
beforeAll(async () => {
  own = await newName()
})

const read = (bytes: Uint8Array): ReturnType<typeof readRecord> => readRecord(own.name, bytes)

describe('IPNS records', () => {
  it.each(vectors.records)("are read and refused as the specification's vector $what", async (vector) => {
    const name = parseName(vector.name)
    if (name.kind !== 'key') throw new Error('a vector has a domain')
    const reading = readRecord(name, Buffer.from(vector.record, 'base64'))
    if (vector.value === null) await expect(reading).rejects.toMatchObject({ code: 'ERR_RECORD_INVALID' })
    else expect(await reading).toMatchObject(vector.value === '?' ? {} : { value: vector.value })
  })

  it('come back as they were signed', async () => {
    const fields = {
      value: '/ipfs/bafkqaaa/a b',
      sequence: 2n ** 63n + 1n,
      lifetimeMs: HOUR_MS,
      ttlMs: 90_000,
    }
    const record = await read(await signRecord(own.key, fields))
    expect(record).toMatchObject({ value: fields.value, sequence: fields.sequence, ttlMs: 90_000 })
    expect(Math.abs(record.validUntilMs - Date.now() - HOUR_MS)).toBeLessThan(60_000)
  })

  it('are refused under another name', async () => {
    const other = await newName()
    const bytes = await signRecord(other.key, {
      value: '/ipfs/bafkqaaa',
      sequence: 1n,
      lifetimeMs: HOUR_MS,
      ttlMs: 0,
    })
    await expect(read(bytes)).rejects.toMatchObject({ code: 'ERR_RECORD_INVALID', kind: 'verification' })
  })

  it('are refused once they have expired', async () => {
    const bytes = await rawRecord(own.key, { Validity: text('2020-01-01T00:00:00.000000000Z') })
    await expect(read(bytes)).rejects.toMatchObject({ code: 'ERR_RECORD_EXPIRED' })
  })

  it.each([
    ['an expiry that is no time', { Validity: text('never') }],
    ['an expiry that is empty', { Validity: text('') }],
    ['an expiry of a month that is none', { Validity: text('2090-13-01T00:00:00Z') }],
    ['an expiry that is a number', { Validity: 4_000_000_000 }],
    ['another kind of validity', { ValidityType: 1 }],
    ['a negative number', { Sequence: -1 }],
    ['a number that is a text', { Sequence: '9' }],
    ['a number with a fraction', { Sequence: 1.5 }],
    ['no number', { Sequence: null }],
    ['a ttl that is a list', { TTL: [1] }],
    ['a negative ttl', { TTL: -5 }],
    ['a value that is no path', { Value: text('hello') }],
    ['a value that is no bytes', { Value: 7 }],
    ['no value', { Value: undefined }],
  ])('are refused with %s, though it is signed', async (_what, fields) => {
    const bytes = await rawRecord(own.key, fields)
    await expect(read(bytes)).rejects.toMatchObject({ code: 'ERR_RECORD_INVALID' })
  })

  it('are refused over 10 KiB, and no ttl is longer than a day', async () => {
    const large = await rawRecord(own.key, {}, { padding: MAX_RECORD_BYTES })
    await expect(read(large)).rejects.toMatchObject({
      code: 'ERR_RECORD_INVALID',
      details: { limitBytes: 10_240 },
    })
    const patient = await read(await rawRecord(own.key, { TTL: 2n ** 63n }))
    expect(patient.ttlMs).toBe(MAX_TTL_MS)
  })

  it('are refused with any byte of the signed part changed, and whatever the bytes, with an error of ours', async () => {
    const good = await signRecord(own.key, {
      value: '/ipfs/bafkqaaa',
      sequence: 5n,
      lifetimeMs: HOUR_MS,
      ttlMs: 0,
    })
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, change]) => {
            const bad = Uint8Array.from(good)
            bad[at] = (bad[at] ?? 0) ^ change
            return bad
          }),
          fc.nat(good.length - 1).map((length) => good.subarray(0, length)),
        ),
        async (bytes) => {
          try {
            // What is not signed (the old signature) may change; what is read may not.
            expect(await read(bytes)).toMatchObject({ value: '/ipfs/bafkqaaa', sequence: 5n })
          } catch (error) {
            expect(error).toMatchObject({ code: 'ERR_RECORD_INVALID' })
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  it('are better with a higher number, then with a longer life', () => {
    const record = (sequence: bigint, validUntilMs: number) => ({ sequence, validUntilMs })
    expect(isBetter(record(2n, 1), record(1n, 9))).toBe(true)
    expect(isBetter(record(1n, 9), record(1n, 8))).toBe(true)
    expect(isBetter(record(1n, 8), record(1n, 8))).toBe(false)
    expect(isBetter(record(2n ** 64n - 1n, 1), record(2n ** 53n, 1))).toBe(true)
  })

  it('are checked and chosen for the DHT', async () => {
    const key = routingKey(own.name)
    const older = await rawRecord(own.key, { Sequence: 1n })
    const newer = await rawRecord(own.key, { Sequence: 2n })
    await ipnsNamespace.validate(key, older)
    expect(await ipnsNamespace.select(key, [older, newer])).toBe(1)
    expect(await ipnsNamespace.select(key, [newer, older])).toBe(0)
    await expect(ipnsNamespace.validate(routingKey((await newName()).name), older)).rejects.toThrow()
    await expect(ipnsNamespace.validate(text('/pk/x'), older)).rejects.toThrow()
    await expect(ipnsNamespace.validate(text('/ipns/'), older)).rejects.toThrow()
  })
})
