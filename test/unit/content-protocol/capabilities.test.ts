import { randomBytes } from 'node:crypto'
import { create, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { describe, expect, it } from 'vitest'
import { MAX_FILTER_ROOTS, RootFilter } from '../../../protocols/content/filter.ts'
import {
  MAX_CAPABILITY_ADDRESSES,
  MAX_FILTER_BITS_BYTES,
  MAX_FILTER_BYTES,
  MAX_VERSIONS,
} from '../../../protocols/content/limits.ts'
import { decodeFromClient, decodeFromServer, encode } from '../../../protocols/content/messages.ts'
import { ClientMessageSchema, RootFilterSchema } from '../../../protocols/content/messages_pb.ts'
import type { Capabilities } from '../../../protocols/content/types.ts'
import capabilities from '../../../protocols/content/vectors/capabilities.json' with { type: 'json' }
import { ProtocolViolationError } from '../../../protocols/shared/violation.ts'
import { rawCid } from '../../support/content-protocol.ts'

const bytesOf = (parts: string[][]): Buffer => Buffer.from(parts.map(([hex]) => hex).join(''), 'hex')
const never = new AbortController().signal

describe('vectors of capabilities', () => {
  it.each(capabilities.vectors.map((vector) => [vector.name, vector] as const))('%s', (_name, vector) => {
    const { filter, ...rest } = vector.message
    const told = {
      ...rest,
      filter: filter === null ? null : { ...filter, cid: CID.parse(filter.cid) },
    } as Capabilities
    const body = bytesOf(vector.frame).subarray(1)
    const isClient = vector.from === 'client'
    const read = isClient ? decodeFromClient(body) : decodeFromServer(body)
    expect(read).toEqual({ kind: 'capabilities', capabilities: told })
    const written = isClient ? encode.tellCapabilities(told) : encode.answerCapabilities(told)
    expect(Buffer.from(written)).toEqual(bytesOf(vector.frame))
  })

  it('the filter, byte for byte', async () => {
    const { filter } = capabilities
    const roots = filter.roots.map((root) => CID.parse(root))
    const built = await RootFilter.build(roots, filter.seed, never)
    expect(Buffer.from(built.encode())).toEqual(bytesOf(filter.block))
    expect(rawCid(built.encode()).toString()).toBe(filter.cid)
    const read = await RootFilter.decode(bytesOf(filter.block))
    for (const root of roots) expect(read.mayHave(root)).toBe(true)
    for (const other of filter.others) expect(read.mayHave(CID.parse(other))).toBe(false)
  })

  it.each(capabilities.refusedFilters.map((vector) => [vector.name, vector] as const))(
    'refuses a filter: %s',
    async (_name, { block, rule }) => {
      const error: unknown = await RootFilter.decode(Buffer.from(block, 'hex')).catch(
        (thrown: unknown) => thrown,
      )
      expect(error).toBeInstanceOf(ProtocolViolationError)
      expect((error as ProtocolViolationError).rule).toBe(rule)
    },
  )
})

describe('capabilities', () => {
  const valid: Capabilities = {
    did: 'did:key:z6Mk',
    role: 'master',
    versions: {},
    ipfs: 'kubo',
    gatewayUrl: null,
    addresses: [],
    bandwidthBytesPerSecond: null,
    freeBytes: 0,
    filter: null,
  }
  const body = (value: object): Uint8Array =>
    toBinary(
      ClientMessageSchema,
      create(ClientMessageSchema, { body: { case: 'capabilities', value: value as never } }),
    )

  it.each<[string, object, string]>([
    ['a DID that is too long', { did: 'd'.repeat(513) }, 'oversize-capabilities'],
    ['a role with a line break', { role: 'worker\n' }, 'malformed-capabilities'],
    ['a role that turns text around', { role: 'worker\u202e' }, 'malformed-capabilities'],
    [
      'too many versions',
      { versions: Array.from({ length: MAX_VERSIONS + 1 }, () => ({ name: 'a', version: '1' })) },
      'oversize-capabilities',
    ],
    [
      'too many addresses',
      { addresses: Array(MAX_CAPABILITY_ADDRESSES + 1).fill('/ip4/1.2.3.4') },
      'oversize-capabilities',
    ],
    ['an address that is none', { addresses: ['1.2.3.4'] }, 'malformed-capabilities'],
    ['a gateway of another scheme', { gateway: 'file:///etc/passwd' }, 'malformed-capabilities'],
    ['a gateway with a password', { gateway: 'http://me:secret@a.b' }, 'malformed-capabilities'],
    ['a gateway that is none', { gateway: 'gateway' }, 'malformed-capabilities'],
    [
      'a filter that is too large',
      { filter: { cid: rawCid(new Uint8Array()).bytes, bytes: MAX_FILTER_BYTES + 1 } },
      'oversize-capabilities',
    ],
    [
      'a filter that cannot be verified',
      { filter: { cid: CID.createV1(0x55, Digest.create(0x1e, new Uint8Array(32))).bytes, bytes: 0 } },
      'malformed-capabilities',
    ],
    ['a filter without a name', { filter: { bytes: 1 } }, 'malformed-message'],
  ])('with %s are refused', (_name, change, rule) => {
    expect(() => decodeFromClient(body(change))).toThrow(expect.objectContaining({ rule }))
  })

  it('of a side to IPFS that this version does not know are those of a node without one', () => {
    const read = decodeFromClient(body({ ipfs: 99 }))
    expect(read).toMatchObject({ kind: 'capabilities', capabilities: { ipfs: 'none' } })
  })

  it('hold numbers of any size', () => {
    const read = decodeFromClient(body({ freeBytes: 2n ** 64n - 1n, bandwidth: 2n ** 63n }))
    expect(read).toMatchObject({
      capabilities: { freeBytes: Number.MAX_SAFE_INTEGER, bandwidthBytesPerSecond: Number.MAX_SAFE_INTEGER },
    })
  })

  it('read back as written, and any bytes are read or refused', () => {
    const name = fc.string({ unit: 'grapheme-ascii', maxLength: 64 })
    const any = fc.record({
      did: name,
      role: name,
      versions: fc.dictionary(name, name, { maxKeys: MAX_VERSIONS, noNullPrototype: true }),
      ipfs: fc.constantFrom('none', 'gateway-only', 'helia', 'kubo'),
      gatewayUrl: fc.option(fc.webUrl().filter((url) => url.length <= 512)),
      addresses: fc.array(
        name.map((text) => `/${text}`),
        { maxLength: MAX_CAPABILITY_ADDRESSES },
      ),
      bandwidthBytesPerSecond: fc.option(fc.integer({ min: 1 })),
      freeBytes: fc.maxSafeNat(),
      filter: fc.option(
        fc.record({
          cid: fc.uint8Array().map((bytes) => CID.decode(rawCid(bytes).bytes.slice())),
          bytes: fc.integer({ min: 0, max: MAX_FILTER_BYTES }),
        }),
      ),
    }) as fc.Arbitrary<Capabilities>
    fc.assert(
      fc.property(any, (told) => {
        const frame = encode.tellCapabilities(told)
        const prefix = frame.length > 129 ? 2 : 1
        expect(decodeFromClient(frame.subarray(prefix))).toEqual({ kind: 'capabilities', capabilities: told })
      }),
    )
    const whole = encode.tellCapabilities({ ...valid, addresses: ['/ip4/1.2.3.4'] }).subarray(1)
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
        const changed = Buffer.from(whole)
        changed[at] = byte
        try {
          decodeFromClient(changed)
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolViolationError)
        }
      }),
    )
  })
})

describe('a filter of roots', () => {
  it('has what it was given, and 1 % of what it was not', async () => {
    const roots = Array.from({ length: 2_000 }, () => rawCid(randomBytes(8)))
    const filter = await RootFilter.decode((await RootFilter.build(roots, 5, never)).encode())
    expect(roots.every((root) => filter.mayHave(root))).toBe(true)
    const wrong = Array.from({ length: 5_000 }, () => filter.mayHave(rawCid(randomBytes(8)))).filter(Boolean)
    expect(wrong.length).toBeLessThan(100)
    expect(filter.falsePositives).toBeLessThan(0.015)
  })

  it('knows a block by whatever CID', async () => {
    const cid = CID.parse('QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR')
    const filter = await RootFilter.build([cid], 5, never)
    expect(filter.mayHave(cid.toV1())).toBe(true)
  })

  it('of nothing is valid, and says no', async () => {
    const filter = await RootFilter.decode((await RootFilter.build([], 5, never)).encode())
    expect(filter.mayHave(rawCid(randomBytes(8)))).toBe(false)
  })

  it('never outgrows its bound', async () => {
    const roots = Array.from({ length: MAX_FILTER_ROOTS + 10 }, (_, index) =>
      rawCid(Buffer.from(String(index))),
    )
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(RootFilter.build(roots, 5, signal)).rejects.toThrow('enough')
    expect(Math.ceil((MAX_FILTER_ROOTS * 9.585) / 8)).toBeLessThanOrEqual(MAX_FILTER_BITS_BYTES)
    const tooLarge = create(RootFilterSchema, {
      hashes: 7,
      seed: 1,
      bits: new Uint8Array(MAX_FILTER_BITS_BYTES + 1),
    })
    await expect(RootFilter.decode(toBinary(RootFilterSchema, tooLarge))).rejects.toThrow(
      ProtocolViolationError,
    )
    const muchTooLarge = new Uint8Array(MAX_FILTER_BYTES + 1)
    await expect(RootFilter.decode(muchTooLarge)).rejects.toThrow(ProtocolViolationError)
  })

  it('is read or refused, whatever the bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => {
        await RootFilter.decode(bytes).catch((error: unknown) => {
          expect(error).toBeInstanceOf(ProtocolViolationError)
        })
      }),
    )
  })
})
