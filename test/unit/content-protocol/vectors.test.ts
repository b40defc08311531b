import { create, toBinary } from '@bufbuild/protobuf'
import { CID } from 'multiformats/cid'
import { describe, expect, it } from 'vitest'
import { encodeBlockHeader, isBlockFrame, parseBlockHeader } from '../../../protocols/content/data-frame.ts'
import {
  type CidsWant,
  type DagWant,
  decodeFromClient,
  decodeFromServer,
  encode,
} from '../../../protocols/content/messages.ts'
import { ServerMessageSchema } from '../../../protocols/content/messages_pb.ts'
import client from '../../../protocols/content/vectors/client.json' with { type: 'json' }
import server from '../../../protocols/content/vectors/server.json' with { type: 'json' }
import { FrameReader } from '../../../protocols/shared/framing.ts'
import { ProtocolViolationError } from '../../../protocols/shared/violation.ts'

const bytesOf = (frame: string[][]): Buffer => Buffer.from(frame.map(([hex]) => hex).join(''), 'hex')
/** The vectors' frames are short: one byte of length. */
const bodyOf = (frame: string[][]): Buffer => bytesOf(frame).subarray(1)
const cid = CID.parse(client.cid)

describe('vectors of what a client sends', () => {
  it.each(client.vectors.map((vector) => [vector.name, vector] as const))('%s', (_name, vector) => {
    const message = decodeFromClient(bodyOf(vector.frame))
    const expected = JSON.parse(JSON.stringify(vector.message)) as Record<string, unknown>
    expect(JSON.parse(JSON.stringify(message, replaceCid))).toEqual(expected)
    expect(Buffer.from(encodeClient(message))).toEqual(bytesOf(vector.frame))
  })
})

describe('vectors of what a server sends', () => {
  it.each(server.messages.map((vector) => [vector.name, vector] as const))('%s', (_name, vector) => {
    const message = decodeFromServer(bodyOf(vector.frame))
    expect(JSON.parse(JSON.stringify(message, replaceCid))).toEqual(vector.message)
    expect(Buffer.from(encodeServer(message))).toEqual(bytesOf(vector.frame))
  })

  it.each(server.blocks.map((vector) => [vector.name, vector] as const))('%s', (_name, vector) => {
    const { want, offset, totalBytes } = vector.header
    const index = 'index' in vector.header ? vector.header.index : undefined
    const name = 'cid' in vector.header ? cid.bytes : undefined
    const data = Buffer.from(vector.data, 'hex')
    const header = encodeBlockHeader({ want, index, cid: name, offset, totalBytes }, data.length)
    expect(Buffer.from(header)).toEqual(bytesOf(vector.frame))
    const head = Buffer.concat([bodyOf(vector.frame), data])
    expect(isBlockFrame(head)).toBe(true)
    const parsed = parseBlockHeader(head, head.length)
    expect(parsed).toMatchObject({ want, index, offset, totalBytes, dataBytes: data.length })
    expect(parsed.cid === undefined ? undefined : Buffer.from(parsed.cid)).toEqual(
      name === undefined ? undefined : Buffer.from(name),
    )
    // The same bytes as the protobuf library makes of it.
    const block = {
      want,
      offset,
      total: totalBytes,
      data,
      ...(index === undefined ? {} : { index }),
      ...(name === undefined ? {} : { cid: name }),
    }
    const message = create(ServerMessageSchema, { body: { case: 'block', value: block } })
    expect(head).toEqual(Buffer.from(toBinary(ServerMessageSchema, message)))
  })

  it.each(server.refused.map((vector) => [vector.name, vector] as const))(
    'refuses %s',
    (_name, { frame, rule }) => {
      const reader = new FrameReader({
        payloadOffset: (head, bytes) =>
          isBlockFrame(head) ? parseBlockHeader(head, bytes).headerBytes : undefined,
        onMessage: (message) => void decodeFromServer(message),
        onPayload: (_header, bytes) => new Uint8Array(bytes),
        onPayloadEnd: () => {},
      })
      let error: unknown
      try {
        reader.push(Buffer.from(frame.replaceAll(' ', ''), 'hex'))
      } catch (thrown) {
        error = thrown
      }
      expect(error).toBeInstanceOf(ProtocolViolationError)
      expect((error as ProtocolViolationError).rule).toBe(rule)
    },
  )
})

function replaceCid(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('/' in value)) return value
  return (value as { '/': string })['/']
}

function encodeClient(message: ReturnType<typeof decodeFromClient>): Uint8Array {
  if (message.kind === 'credit') return encode.credit(message.bytes)
  if (message.kind === 'cancel') return encode.cancel(message.id)
  if (message.kind === 'capabilities') return encode.tellCapabilities(message.capabilities)
  return encode.want(message as CidsWant | DagWant)
}

function encodeServer(message: ReturnType<typeof decodeFromServer>): Uint8Array {
  if (message.kind === 'mark') return encode.mark(message.want, message.private)
  if (message.kind === 'missing') return encode.missing(message.want, message.cids)
  if (message.kind === 'capabilities') return encode.answerCapabilities(message.capabilities)
  return encode.done(message.want, message.reason)
}
