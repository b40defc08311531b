import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeBatch,
  decodeHead,
  decodeRecord,
  decodeSignedRecord,
  encodeBatches,
  encodeSigned,
  headKey,
  isBetterHead,
  isRecordSigned,
  signHead,
  signRecord,
} from '../../../protocols/catalog/index.ts'
import { MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_RECORD_BYTES } from '../../../protocols/catalog/limits.ts'
import { entryProblem } from '../../../protocols/catalog/text.ts'
import { ENTRY_KINDS, type Entry, type EntryKind } from '../../../protocols/catalog/types.ts'
import { ed25519Signer } from '../../../protocols/shared/ed25519.ts'
import { ProtocolViolationError } from '../../../protocols/shared/violation.ts'
import { DAY_MS, ENTRY, newPublisher } from '../../support/catalog.ts'

interface Vectors {
  network: string
  seed: string
  publisher: string
  records: {
    name: string
    sequence: number
    previous: string | null
    atMs: number
    untilMs: number
    entry?: Entry
    withdraws?: number[]
    payload: string
    signature: string
    id: string
    signed: string
  }[]
  head: { sequence: number; record: string; atMs: number; key: string; bytes: string }
  batch: string
  refused: Record<string, string>
}

const file = new URL('../../../protocols/catalog/vectors/records.json', import.meta.url)
const vectors = JSON.parse(await readFile(file, 'utf8')) as Vectors
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex')
const signer = ed25519Signer(bytes(vectors.seed))
const NOW_MS = 1_700_000_000_000

describe('records of the catalogue', () => {
  it.each(vectors.records)('are as the vectors say: $name', (vector) => {
    const { sequence, previous, atMs, untilMs, entry, withdraws = [] } = vector
    const made = signRecord(signer, vectors.network, {
      sequence,
      previous: previous === null ? undefined : bytes(previous),
      atMs,
      untilMs,
      ...(entry === undefined ? { withdraws } : { entry }),
    })
    expect(hex(made.signed.payload)).toBe(vector.payload)
    expect(hex(made.signed.signature)).toBe(vector.signature)
    expect(hex(encodeSigned(made.signed))).toBe(vector.signed)
    const read = decodeSignedRecord(bytes(vector.signed))
    expect(read).toEqual(made)
    expect(hex(read.id)).toBe(vector.id)
    expect(hex(read.publisher)).toBe(vectors.publisher)
    expect(isRecordSigned(read, vectors.network)).toBe(true)
  })

  it.each(Object.entries(vectors.refused))('are refused: %s', (_, payload) => {
    expect(() => decodeRecord({ payload: bytes(payload), signature: new Uint8Array(64) })).toThrow(
      ProtocolViolationError,
    )
  })

  it('hold in one network, from one publisher, as they are', () => {
    const [vector] = vectors.records
    const record = decodeSignedRecord(bytes(vector?.signed ?? ''))
    expect(isRecordSigned(record, 'other')).toBe(false)
    const other = ed25519Signer(new Uint8Array(32).fill(8)).publicKey
    expect(isRecordSigned({ ...record, publisher: other }, vectors.network)).toBe(false)
    for (let at = 0; at < record.signed.payload.length; at += 7) {
      const payload = Uint8Array.from(record.signed.payload)
      payload[at] = (payload[at] ?? 0) ^ 1
      expect(isRecordSigned({ ...record, signed: { ...record.signed, payload } }, vectors.network)).toBe(
        false,
      )
    }
    for (const length of [0, 63, 65])
      expect(() => decodeRecord({ ...record.signed, signature: new Uint8Array(length) })).toThrow(
        /wrong size/,
      )
  })

  it('come out as they went in', () => {
    const line = (maxLength: number) => fc.string({ unit: 'grapheme', minLength: 1, maxLength })
    const entries = fc
      .record({
        kind: fc.constantFrom(...(Object.keys(ENTRY_KINDS) as EntryKind[])),
        title: line(40),
        description: line(200),
        tags: fc.array(line(10), { maxLength: 16 }),
        mime: fc.constantFrom('', 'video/mp4', 'application/vnd.x+json'),
        sizeBytes: fc.option(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })),
        address: line(20).map((path) => `/ipfs/bafy/${path}`),
      })
      .filter((entry) => entryProblem(entry) === undefined)
    fc.assert(
      fc.property(entries, fc.integer({ min: 2, max: Number.MAX_SAFE_INTEGER }), (entry, sequence) => {
        const fields = {
          sequence,
          previous: new Uint8Array(32),
          atMs: NOW_MS,
          untilMs: NOW_MS + DAY_MS,
          entry,
        }
        const { signed } = signRecord(signer, 'test', fields)
        expect(decodeSignedRecord(encodeSigned(signed))).toMatchObject(fields)
      }),
    )
  })

  it('are read or refused as a violation, whatever the bytes', () => {
    const decoders = [
      (data: Uint8Array) => decodeSignedRecord(data),
      (data: Uint8Array) => decodeRecord({ payload: data, signature: new Uint8Array(64) }),
      (data: Uint8Array) => decodeBatch(data),
      (data: Uint8Array) => decodeHead(headKey(signer.publicKey), data, 'test'),
    ]
    const { signed } = newPublisher(NOW_MS).entry()
    const whole = encodeSigned(signed)
    const mutated = fc
      .tuple(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length))
      .map(([at, value, end]) => {
        const copy = whole.slice(0, end)
        if (at < copy.length) copy[at] = value
        return copy
      })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 500 }), mutated), (data) => {
        for (const decode of decoders) {
          try {
            decode(data)
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolViolationError)
          }
        }
      }),
    )
    expect(() => decodeSignedRecord(new Uint8Array(MAX_RECORD_BYTES + 1))).toThrow(/too long/)
    expect(() => decodeBatch(new Uint8Array(MAX_BATCH_BYTES + 1))).toThrow(/too long/)
  })

  it('fit their bound with the longest entry', () => {
    const longest = newPublisher(NOW_MS).entry({
      title: 'x'.repeat(256),
      description: '€'.repeat(682),
      tags: Array.from({ length: 16 }, () => 'x'.repeat(64)),
      mime: `${'a'.repeat(63)}/${'b'.repeat(63)}`,
      sizeBytes: Number.MAX_SAFE_INTEGER,
      address: `/ipfs/${'a'.repeat(506)}`,
    })
    expect(encodeSigned(longest.signed).length).toBeLessThanOrEqual(MAX_RECORD_BYTES)
    const { sequence, previous, atMs, untilMs } = longest
    const entry = { ...ENTRY, title: '' }
    expect(() => signRecord(signer, 'test', { sequence, previous, atMs, untilMs, entry })).toThrow(
      ProtocolViolationError,
    )
  })

  it('travel in messages that are bounded by number and by size', () => {
    const publisher = newPublisher(NOW_MS)
    for (let count = 0; count < 70; count++)
      publisher.entry({ description: count % 2 === 0 ? 'x'.repeat(2_000) : '' })
    const batches = encodeBatches(publisher.records.map(({ signed }) => signed))
    expect(batches.every((batch) => batch.length <= MAX_BATCH_BYTES)).toBe(true)
    const read = batches.flatMap(decodeBatch)
    expect(read).toEqual(publisher.records)
    expect(Math.max(...batches.map((batch) => decodeBatch(batch).length))).toBeLessThanOrEqual(
      MAX_BATCH_RECORDS,
    )
    expect(decodeBatch(bytes(vectors.batch)).map(({ id }) => hex(id))).toEqual(
      vectors.records.map(({ id }) => id),
    )
    expect(encodeBatches([])).toEqual([])
    expect(() => decodeBatch(new Uint8Array(0))).toThrow(/no records/)
  })
})

describe('heads of logs', () => {
  const { head } = vectors

  it('are as the vectors say', () => {
    const { sequence, atMs } = head
    expect(hex(signHead(signer, vectors.network, { sequence, record: bytes(head.record), atMs }))).toBe(
      head.bytes,
    )
    expect(hex(headKey(signer.publicKey))).toBe(head.key)
    expect(decodeHead(bytes(head.key), bytes(head.bytes), vectors.network)).toEqual({
      publisher: signer.publicKey,
      sequence,
      record: bytes(head.record),
      atMs,
    })
  })

  it('are refused under another key, of another network, changed, and where they are records', () => {
    const other = headKey(ed25519Signer(new Uint8Array(32).fill(8)).publicKey)
    expect(() => decodeHead(other, bytes(head.bytes), vectors.network)).toThrow(/another publisher/)
    expect(() => decodeHead(bytes(head.key), bytes(head.bytes), 'other')).toThrow(/did not sign/)
    const changed = bytes(head.bytes)
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1
    expect(() => decodeHead(bytes(head.key), changed, vectors.network)).toThrow(/did not sign/)
    const record = bytes(vectors.records[2]?.signed ?? '')
    expect(() => decodeHead(bytes(head.key), record, vectors.network)).toThrow(ProtocolViolationError)
    const nothing = signHead(signer, 'main', { sequence: 0, record: bytes(head.record), atMs: 1 })
    expect(() => decodeHead(bytes(head.key), nothing, vectors.network)).toThrow(/a head of nothing/)
  })

  it('are better by number, and by the smaller id where two have one', () => {
    const of = (sequence: number, first: number) => ({ sequence, record: Uint8Array.of(first) })
    expect(isBetterHead(of(2, 9), of(1, 0))).toBe(true)
    expect(isBetterHead(of(1, 0), of(2, 9))).toBe(false)
    expect(isBetterHead(of(1, 0), of(1, 1))).toBe(true)
    expect(isBetterHead(of(1, 1), of(1, 1))).toBe(false)
  })
})
