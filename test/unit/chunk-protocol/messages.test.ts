import { create, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  encodeIndexHeader,
  encodePieceHeader,
  isDataFrame,
  parseDataHeader,
} from '../../../protocols/chunk/data-frame.ts'
import { foundAnswers, heldAnswers } from '../../../protocols/chunk/answers.ts'
import { MAX_SLABS_PER_HAVE } from '../../../protocols/chunk/limits.ts'
import {
  decodeFromClient,
  decodeFromServer,
  encode,
  type FromClient,
  type FromServer,
} from '../../../protocols/chunk/messages.ts'
import { ClientMessageSchema, ServerMessageSchema } from '../../../protocols/chunk/messages_pb.ts'
import { MAX_PIECE_BYTES, MIN_PART_BYTES } from '../../../protocols/chunk/limits.ts'
import { nextPartBytes } from '../../../protocols/chunk/parts.ts'
import vectors from '../../../protocols/chunk/vectors/messages.json' with { type: 'json' }
import { frame, FrameReader } from '../../../protocols/shared/framing.ts'
import { MAX_CONTROL_MESSAGE_BYTES } from '../../../protocols/shared/limits.ts'
import { ProtocolViolationError } from '../../../protocols/shared/violation.ts'

const unhex = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))

/** The message in a frame, without its length. */
function bodyOf(framed: Uint8Array): Uint8Array {
  return framed.subarray(framed[0]! < 0x80 ? 1 : 2)
}

/** Bytes as the vectors write them. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, inner: unknown) =>
      inner instanceof Uint8Array ? { hex: Buffer.from(inner).toString('hex') } : inner,
    ),
  )
}

function encodeClient(message: FromClient): Uint8Array {
  switch (message.kind) {
    case 'request':
      return encode.request(message.id, message.request!)
    case 'store':
      return encode.store(message.open!)
    case 'fetch':
      return encode.fetch(message)
    case 'credit':
      return encode.clientCredit(message.bytes)
  }
}

function encodeServer(message: FromServer): Uint8Array {
  switch (message.kind) {
    case 'answer':
      return encode.answer(message.id, message.status, message.body)
    case 'accepted':
      return encode.accepted(message.creditBytes)
    case 'store-done':
      return encode.storeDone(message.status, message.receipt)
    case 'fetch-done':
      return encode.fetchDone(message.status)
    case 'credit':
      return encode.serverCredit(message.bytes)
  }
}

describe('vectors', () => {
  it.each(vectors.client.map((vector) => [vector.name, vector] as const))('client: %s', (_name, vector) => {
    const message = decodeFromClient(bodyOf(unhex(vector.frame)))
    expect(plain(message)).toEqual(vector.message)
    expect(Buffer.from(encodeClient(message)).toString('hex')).toBe(vector.frame)
  })

  it.each(vectors.holder.map((vector) => [vector.name, vector] as const))('holder: %s', (_name, vector) => {
    const message = decodeFromServer(bodyOf(unhex(vector.frame)))
    expect(plain(message)).toEqual(vector.message)
    expect(Buffer.from(encodeServer(message)).toString('hex')).toBe(vector.frame)
  })

  it.each(vectors.data.map((vector) => [vector.name, vector] as const))('data: %s', (_name, vector) => {
    const data = unhex(vector.data)
    const { segment = 0, offset = 0, totalBytes = 0, id = 0 } = vector.header
    const header =
      vector.header.kind === 'piece'
        ? encodePieceHeader({ segment, offset, totalBytes }, data.length)
        : encodeIndexHeader(id, data.length)
    expect(Buffer.from(header).toString('hex')).toBe(vector.frame)
    const whole = Buffer.concat([bodyOf(unhex(vector.frame)), data])
    expect(isDataFrame(whole)).toBe(true)
    expect(parseDataHeader(whole, whole.length)).toEqual({
      ...vector.header,
      dataBytes: data.length,
      headerBytes: whole.length - data.length,
    })
    // The same bytes as the protobuf library makes of it, in both directions.
    const body =
      vector.header.kind === 'piece'
        ? ({ case: 'piece', value: { segment, offset, total: totalBytes, data } } as const)
        : ({ case: 'index', value: { id, data } } as const)
    expect(whole).toEqual(Buffer.from(toBinary(ClientMessageSchema, create(ClientMessageSchema, { body }))))
    expect(whole).toEqual(Buffer.from(toBinary(ServerMessageSchema, create(ServerMessageSchema, { body }))))
  })

  it.each(vectors.refused.map((vector) => [vector.name, vector] as const))(
    'refused: %s',
    (_name, { frame: hex, rule }) => {
      let thrown: unknown
      try {
        read(unhex(hex), decodeFromServer)
      } catch (error) {
        thrown = error
      }
      expect(thrown).toBeInstanceOf(ProtocolViolationError)
      expect((thrown as ProtocolViolationError).rule).toBe(rule)
    },
  )
})

function read(bytes: Uint8Array, decode: (bytes: Uint8Array) => unknown): void {
  const reader = new FrameReader({
    payloadOffset: (head, frameBytes) =>
      isDataFrame(head) ? parseDataHeader(head, frameBytes).headerBytes : undefined,
    onMessage: (message) => void decode(message),
    onPayload: (_header, length) => new Uint8Array(length),
    onPayloadEnd: () => {},
  })
  reader.push(bytes)
}

describe('any bytes', () => {
  it.each([
    ['client', decodeFromClient],
    ['holder', decodeFromServer],
  ] as const)('as messages of a %s are read or are a violation', (_name, decode) => {
    const frames = [...vectors.client, ...vectors.holder].map((vector) => bodyOf(unhex(vector.frame)))
    const bent = fc
      .tuple(
        fc.constantFrom(...frames),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        fc.nat(20),
      )
      .map(([bytes, changes, cut]) => {
        const copy = Uint8Array.from(bytes.subarray(0, Math.max(1, bytes.length - cut)))
        for (const [at, byte] of changes) copy[at % copy.length] = byte
        return copy
      })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 300 }), bent), (bytes) => {
        for (const push of [() => decode(bytes), () => read(frame(bytes), decode)]) {
          try {
            push()
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolViolationError)
          }
        }
      }),
      { numRuns: 400 },
    )
  })

  it('as the header of a data frame never claim more than the frame has', () => {
    fc.assert(
      fc.property(fc.constantFrom(0x0a, 0x12), fc.uint8Array({ maxLength: 40 }), (tag, rest) => {
        const bytes = Uint8Array.of(tag, ...rest)
        try {
          const header = parseDataHeader(bytes, bytes.length)
          expect(header.headerBytes + header.dataBytes).toBe(bytes.length)
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolViolationError)
        }
      }),
    )
  })
})

describe('answers', () => {
  const slabs = Array.from({ length: MAX_SLABS_PER_HAVE }, (_, place) =>
    Uint8Array.from({ length: 32 }, (_byte, at) => (at === 0 ? place & 0xff : at === 1 ? place >> 8 : 7)),
  )

  it('about as many slabs as may be asked for fit a control message', () => {
    const columns = slabs.map((slab) => ({
      slab,
      column: 63,
      indexHash: new Uint8Array(32),
      untilMs: 2 ** 45,
    }))
    const answer = encode.answer(2 ** 32 - 1, 0, { kind: 'held', columns: heldAnswers(slabs, columns) })
    expect(answer.length).toBeLessThanOrEqual(MAX_CONTROL_MESSAGE_BYTES)
    expect(encode.request(2 ** 32 - 1, { kind: 'have', slabs }).length).toBeLessThanOrEqual(
      MAX_CONTROL_MESSAGE_BYTES,
    )
    // What was not asked for is left out.
    expect(heldAnswers(slabs.slice(0, 2), columns)).toHaveLength(2)
  })

  it('of places are cut to what fits', () => {
    const found = Array.from({ length: 1_000 }, () => ({
      slab: slabs[0]!,
      peer: 'x'.repeat(60),
      addresses: Array.from({ length: 20 }, () => `/ip6/${'f'.repeat(60)}`),
    }))
    const answer = foundAnswers(slabs.slice(0, 64), found)
    expect(answer.length).toBeGreaterThan(90)
    expect(answer[0]!.addresses).toHaveLength(8)
    const message = encode.answer(1, 0, { kind: 'located', found: answer })
    expect(message.length).toBeLessThanOrEqual(MAX_CONTROL_MESSAGE_BYTES)
    expect(decodeFromServer(message.subarray(3))).toMatchObject({ kind: 'answer' })
    const wrong = [{ slab: slabs[0]!, peer: '', addresses: ['x'.repeat(300), ''] }]
    expect(foundAnswers(slabs, wrong)).toEqual([])
  })
})

describe('parts of a piece', () => {
  it('make it up, are about equal, and none is longer than it may be', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: MAX_PIECE_BYTES }),
        fc.integer({ min: 1, max: MAX_PIECE_BYTES }),
        (pieceBytes, mostBytes) => {
          const most = Math.max(mostBytes, MIN_PART_BYTES)
          let leftBytes = pieceBytes
          let parts = 0
          while (leftBytes > 0) {
            const bytes = nextPartBytes(leftBytes, mostBytes)
            expect(bytes).toBeGreaterThan(0)
            expect(bytes).toBeLessThanOrEqual(Math.min(leftBytes, most))
            if (bytes < leftBytes) expect(bytes).toBeGreaterThanOrEqual(MIN_PART_BYTES)
            leftBytes -= bytes
            parts += 1
          }
          expect(parts).toBeLessThanOrEqual(Math.ceil(pieceBytes / most))
        },
      ),
    )
  })
})
