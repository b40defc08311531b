import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { describe, expect, it } from 'vitest'
import { decodeAnnouncement, encodeAnnouncement } from '../../../protocols/keep/announcement.ts'
import {
  MAX_ANNOUNCEMENT_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_NAME_BYTES,
  MAX_PAYLOAD_BYTES,
} from '../../../protocols/keep/limits.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from '../../../protocols/keep/messages.ts'
import { Statements } from '../../../protocols/keep/statements.ts'
import type { AnnouncedKind, Ask } from '../../../protocols/keep/types.ts'
import vectors from '../../../protocols/keep/vectors/messages.json' with { type: 'json' }
import { ProtocolViolationError } from '../../../protocols/shared/violation.ts'
import { cidOf } from '../../support/provide.ts'

const cid = CID.parse(vectors.cid)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytesOf = (parts: string[][]): Buffer => Buffer.from(parts.map(([part]) => part).join(''), 'hex')

describe('vectors', () => {
  it('of an announcement', () => {
    const { message, bytes } = vectors.announcement
    const announcement = { ...message, cid, kind: message.kind as AnnouncedKind }
    expect(hex(encodeAnnouncement(announcement))).toBe(hex(bytesOf(bytes)))
    expect(decodeAnnouncement(bytesOf(bytes))).toEqual(announcement)
  })

  it('of a probe and its answer', () => {
    expect(hex(encodeRequest({ kind: 'probe', cid }))).toBe(hex(bytesOf(vectors.probe.bytes)))
    expect(decodeRequest(bytesOf(vectors.probe.bytes))).toEqual({ kind: 'probe', cid })
    const answer = { status: 0, state: 'held', untilMs: 1_700_000_000_000 } as const
    expect(hex(encodeResponse(answer))).toBe(hex(bytesOf(vectors.held.bytes)))
    expect(decodeResponse(bytesOf(vectors.held.bytes))).toEqual(answer)
  })

  it('of a signed ask', async () => {
    const key = (await import('@libp2p/crypto/keys')).privateKeyFromRaw(
      Buffer.from(vectors.ask.privateKey, 'hex'),
    )
    const asker = peerIdFromPrivateKey(key)
    const { sizeBytes, untilMs, atMs } = vectors.ask.message
    const ask: Ask = { cid, sizeBytes, untilMs, atMs, asker, holder: asker }
    const signed = await new Statements(vectors.ask.network).signAsk(key, ask)
    expect(hex(signed.payload)).toBe(vectors.ask.payload)
    expect(hex(signed.signature)).toBe(vectors.ask.signature)
    expect(await new Statements(vectors.ask.network).ask(signed)).toMatchObject({ sizeBytes, untilMs, atMs })
  })
})

describe('decoders', () => {
  const read = (work: () => unknown): void => {
    try {
      work()
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolViolationError)
    }
  }

  it('take any bytes, and throw nothing but violations', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2 * MAX_MESSAGE_BYTES }), (bytes) => {
        read(() => decodeAnnouncement(bytes))
        read(() => decodeRequest(bytes))
        read(() => decodeResponse(bytes))
      }),
    )
  })

  it('take what is nearly right: one byte of a message changed, cut or doubled', async () => {
    const key = await generateKeyPair('Ed25519')
    const asker = peerIdFromPrivateKey(key)
    const statements = new Statements('test')
    const signed = await statements.signAsk(key, {
      cid,
      sizeBytes: 1,
      untilMs: 2,
      atMs: 1,
      asker,
      holder: asker,
    })
    const whole = encodeRequest({ kind: 'ask', signed })
    await fc.assert(
      fc.asyncProperty(
        fc.nat(whole.length - 1),
        fc.nat(255),
        fc.constantFrom('change', 'cut', 'double'),
        async (at, byte, how) => {
          const bytes =
            how === 'cut'
              ? whole.subarray(0, at)
              : how === 'double'
                ? Buffer.concat([whole, whole.subarray(0, at)])
                : Buffer.from(whole).fill(byte, at, at + 1)
          try {
            const request = decodeRequest(bytes)
            if (request.kind === 'ask') await statements.ask(request.signed)
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolViolationError)
          }
        },
      ),
    )
  })
})

describe('announcements', () => {
  it('come through as they were, and fit into the bound whatever the name', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 400 }),
        fc.option(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })),
        fc.constantFrom<AnnouncedKind>('file', 'directory', 'other'),
        (name, sizeBytes, kind) => {
          const bytes = encodeAnnouncement({ cid, name, sizeBytes, kind, atMs: 1_700_000_000_000 })
          expect(bytes.length).toBeLessThanOrEqual(MAX_ANNOUNCEMENT_BYTES)
          const heard = decodeAnnouncement(bytes)
          expect(heard).toMatchObject({ sizeBytes, kind })
          expect(Buffer.byteLength(heard.name)).toBeLessThanOrEqual(MAX_NAME_BYTES)
          expect(decodeAnnouncement(encodeAnnouncement(heard))).toEqual(heard)
        },
      ),
    )
  })

  it('carry no escapes to a terminal', () => {
    const told = { cid, name: 'a\u001b[2Jb\nc\u202ed', sizeBytes: null, kind: 'file', atMs: 1 } as const
    expect(decodeAnnouncement(encodeAnnouncement(told)).name).toBe('a [2Jb c d')
  })
})

describe('statements', () => {
  it('hold for one network, one kind and one signer', async () => {
    const [key, other] = await Promise.all([generateKeyPair('Ed25519'), generateKeyPair('Ed25519')])
    const [asker, holder] = [peerIdFromPrivateKey(key), peerIdFromPrivateKey(other)]
    const here = new Statements('here')
    const promise = { cid, untilMs: 2, atMs: 1, asker, holder }
    const signed = await here.signPromise(other, promise)
    expect((await here.promise(signed)).holder.equals(holder)).toBe(true)
    await expect(new Statements('there').promise(signed)).rejects.toThrow(ProtocolViolationError)
    await expect(here.release(signed)).rejects.toThrow(ProtocolViolationError)
    await expect(here.ask(signed)).rejects.toThrow(ProtocolViolationError)
    await expect(here.promise(await here.signPromise(key, promise))).rejects.toThrow(ProtocolViolationError)
  })

  it('are refused where they are longer than any that is real', async () => {
    const here = new Statements('here')
    const signature = new Uint8Array(64)
    await expect(here.ask({ payload: new Uint8Array(MAX_PAYLOAD_BYTES + 1), signature })).rejects.toThrow(
      ProtocolViolationError,
    )
    await expect(here.ask({ payload: cidOf('x').bytes, signature: new Uint8Array(63) })).rejects.toThrow(
      ProtocolViolationError,
    )
  })
})
