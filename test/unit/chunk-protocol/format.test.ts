import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeDeletion,
  decodeIndex,
  decodeLease,
  decodeReceipt,
  decodeSigned,
  ed25519Signer,
  encodeSigned,
  groupCid,
  leafCount,
  LEAF_BYTES,
  MAX_INDEX_PAYLOAD_BYTES,
  MAX_SEALED_BYTES,
  PieceHasher,
  pieceRoot,
  prove,
  redundancyProblem,
  signDeletion,
  signIndex,
  signLease,
  signReceipt,
  slabIdOf,
  slabKeyOf,
  slabOf,
  verifyProof,
} from '../../../protocols/chunk/format/index.ts'
import type { SignedBytes } from '../../../protocols/chunk/types.ts'
import merkle from '../../../protocols/chunk/vectors/merkle.json' with { type: 'json' }
import statements from '../../../protocols/chunk/vectors/statements.json' with { type: 'json' }
import { P2pnodeError } from '../../../protocols/shared/errors.ts'

const unhex = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const signedOf = (vector: { payload: string; signature: string }): SignedBytes => ({
  payload: unhex(vector.payload),
  signature: unhex(vector.signature),
})
const hexOf = ({ payload, signature }: SignedBytes): { payload: string; signature: string } => ({
  payload: hex(payload),
  signature: hex(signature),
})

function pattern(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * i + 7 * i + (i >> 8)) & 0xff)
}

const slab = ed25519Signer(unhex(statements.slab.seed))
const holder = ed25519Signer(unhex(statements.holder.seed))
const { network } = statements

describe('slab ids', () => {
  it('are those of the vectors', () => {
    expect(hex(slab.publicKey)).toBe(statements.slab.publicKey)
    const id = slabIdOf(slab.publicKey)
    expect(slabKeyOf(id)).toBe(statements.slab.id)
    expect(slabOf(statements.slab.id)).toEqual(Uint8Array.from(id))
    expect(groupCid(id).toString()).toBe(statements.slab.groupCid)
  })

  it('refuse what is none', () => {
    expect(() => slabIdOf(new Uint8Array(31))).toThrow(RangeError)
    for (const text of ['', 'AB'.repeat(32), '0'.repeat(63), `${'0'.repeat(64)}\n`]) {
      expect(() => slabOf(text)).toThrow(P2pnodeError)
    }
  })
})

describe('the tree of a piece', () => {
  it.each(merkle.vectors.map((vector) => [vector.pieceBytes, vector.leaf, vector] as const))(
    '%i bytes, leaf %i: as in the vectors',
    (pieceBytes, leaf, vector) => {
      const piece = pattern(pieceBytes)
      const root = pieceRoot(piece)
      expect(hex(root)).toBe(vector.root)
      const proof = prove(piece, leaf)
      expect(proof.path.map(hex)).toEqual(vector.path)
      expect(verifyProof(root, pieceBytes, leaf, proof)).toBe(true)
    },
  )

  it('is the same however the piece arrives, and one hasher serves many pieces', () => {
    const hasher = new PieceHasher()
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 * LEAF_BYTES }),
        fc.array(fc.integer({ min: 1, max: 3 * LEAF_BYTES }), { maxLength: 8 }),
        (bytes, cuts) => {
          const piece = pattern(bytes)
          let at = 0
          for (const cut of cuts) {
            hasher.update(piece.subarray(at, at + cut))
            at = Math.min(bytes, at + cut)
          }
          hasher.update(piece.subarray(at))
          expect(hasher.digest()).toEqual(pieceRoot(piece))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('proves every leaf, and nothing else', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 * LEAF_BYTES }),
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (bytes, leafSeed, flipAt, flip) => {
          const piece = pattern(bytes)
          const root = pieceRoot(piece)
          const leaf = leafSeed % leafCount(bytes)
          const proof = prove(piece, leaf)
          expect(verifyProof(root, bytes, leaf, proof)).toBe(true)
          // Of another place, with a byte changed in leaf, path or root.
          expect(verifyProof(root, bytes, leaf + 1, proof)).toBe(false)
          expect(verifyProof(root, bytes, -1, proof)).toBe(false)
          const flipped = (of: Uint8Array): Uint8Array => {
            const copy = Uint8Array.from(of)
            copy[flipAt % copy.length]! ^= flip
            return copy
          }
          expect(verifyProof(root, bytes, leaf, { ...proof, leaf: flipped(proof.leaf) })).toBe(false)
          expect(verifyProof(flipped(root), bytes, leaf, proof)).toBe(false)
          for (const [index, sibling] of proof.path.entries()) {
            const path = proof.path.with(index, flipped(sibling))
            expect(verifyProof(root, bytes, leaf, { ...proof, path })).toBe(false)
          }
          expect(verifyProof(root, bytes, leaf, { ...proof, path: [...proof.path, root] })).toBe(false)
          expect(verifyProof(root, bytes, leaf, { ...proof, path: proof.path.slice(1) })).toBe(
            proof.path.length === 0,
          )
        },
      ),
      { numRuns: 40 },
    )
  })

  it('does not take an inner node for a leaf', () => {
    const piece = pattern(2 * LEAF_BYTES)
    const root = pieceRoot(piece)
    const left = pieceRoot(piece.subarray(0, LEAF_BYTES))
    const right = pieceRoot(piece.subarray(LEAF_BYTES))
    expect(verifyProof(root, 64, 0, { leaf: Buffer.concat([left, right]), path: [] })).toBe(false)
  })

  it('has at least one leaf', () => {
    expect(() => pieceRoot(new Uint8Array(0))).toThrow(RangeError)
    expect(() => prove(new Uint8Array(5), 1)).toThrow(RangeError)
  })
})

describe('statements', () => {
  const id = slabIdOf(slab.publicKey)
  const { index, lease, deletion, receipt } = statements
  const fields = {
    group: unhex(index.group),
    k: index.k,
    n: index.n,
    sealedBytes: index.sealedBytes,
    roots: index.roots.map(unhex),
  }

  it('are signed byte for byte as in the vectors', () => {
    expect(hexOf(signIndex(slab, network, fields).signed)).toEqual(hexOf(signedOf(index)))
    expect(hexOf(signLease(slab, network, lease).signed)).toEqual(hexOf(signedOf(lease)))
    expect(hexOf(signDeletion(slab, network, deletion).signed)).toEqual(hexOf(signedOf(deletion)))
    const made = signReceipt(holder, network, { ...receipt, slab: id, indexHash: unhex(index.hash) })
    expect(hexOf(made.signed)).toEqual(hexOf(signedOf(receipt)))
    expect(hex(encodeSigned(made.signed))).toBe(receipt.encoded)
    expect(hexOf(decodeSigned(unhex(receipt.encoded), 256))).toEqual(hexOf(signedOf(receipt)))
  })

  it('are read as in the vectors', () => {
    const read = decodeIndex(signedOf(index), network)
    expect(slabKeyOf(read.slab)).toBe(statements.slab.id)
    expect(hex(read.hash)).toBe(index.hash)
    expect([read.k, read.n, read.columnBytes]).toEqual([index.k, index.n, index.columnBytes])
    expect([read.pieceBytes(0), read.pieceBytes(1)]).toEqual([524_298, 522])
    expect(hex(read.root(1, 2))).toBe(index.roots[5])
    for (const [segment, column] of [
      [2, 0],
      [0, 3],
      [-1, 0],
      [0, -1],
      [0.5, 0],
      [0, 0.5],
    ] as const) {
      expect(() => read.root(segment, column)).toThrow(RangeError)
    }
    expect(decodeLease(signedOf(lease), network)).toMatchObject({ untilMs: lease.untilMs, sequence: 3 })
    expect(decodeDeletion(signedOf(deletion), network)).toMatchObject({ atMs: deletion.atMs })
    const held = decodeReceipt(signedOf(receipt), network, holder.publicKey)
    expect(held).toMatchObject({ column: 1, untilMs: receipt.untilMs, atMs: receipt.atMs })
    expect(hex(held.indexHash)).toBe(index.hash)
  })

  const readers: [string, SignedBytes, (signed: SignedBytes, name: string) => unknown][] = [
    ['index', signedOf(index), decodeIndex],
    ['lease', signedOf(lease), decodeLease],
    ['deletion', signedOf(deletion), decodeDeletion],
    ['receipt', signedOf(receipt), (signed, name) => decodeReceipt(signed, name, holder.publicKey)],
  ]

  it.each(readers)('%s: is no other kind, of no other network, with no bit changed', (kind, signed, read) => {
    expect(() => read(signed, 'other')).toThrow(P2pnodeError)
    for (const [otherKind, , other] of readers) {
      if (otherKind !== kind) expect(() => other(signed, network)).toThrow(P2pnodeError)
    }
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 7 }), fc.boolean(), (at, bit, inPayload) => {
        const payload = Uint8Array.from(signed.payload)
        const signature = Uint8Array.from(signed.signature)
        const target = inPayload ? payload : signature
        target[at % target.length]! ^= 1 << bit
        expectInvalid(() => read({ payload, signature }, network))
      }),
      { numRuns: 60 },
    )
  })

  it.each(readers)('%s: any bytes are refused with ERR_CHUNK_INVALID', (_kind, signed, read) => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        fc.uint8Array({ maxLength: 70 }),
        (payload, signature) => {
          expectInvalid(() => read({ payload, signature }, network))
          expectInvalid(() => read({ payload, signature: signed.signature }, network))
        },
      ),
    )
    expectInvalid(() => read({ ...signed, payload: new Uint8Array(MAX_INDEX_PAYLOAD_BYTES + 1) }, network))
  })

  it('a receipt of another holder is refused', () => {
    expectInvalid(() => decodeReceipt(signedOf(receipt), network, slab.publicKey))
  })

  it('signed bytes of any kind are bounded', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          const signed = decodeSigned(bytes, 128)
          expect(signed.payload.length).toBeLessThanOrEqual(128)
          expect(signed.signature).toHaveLength(64)
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_CHUNK_INVALID' })
        }
      }),
    )
    expectInvalid(() => decodeSigned(encodeSigned(signedOf(index)), 100))
  })

  it('an index holds its bounds', () => {
    const root = new Uint8Array(32)
    const one = { group: id, k: 1, n: 1, sealedBytes: [1], roots: [root] }
    expect(signIndex(slab, network, one).columnBytes).toBe(1)
    const full = {
      group: id,
      k: 32,
      n: 64,
      sealedBytes: Array.from({ length: 64 }, () => MAX_SEALED_BYTES),
      roots: Array.from({ length: 64 * 64 }, () => root),
    }
    const largest = signIndex(slab, network, full)
    expect(largest.signed.payload.length).toBeLessThanOrEqual(MAX_INDEX_PAYLOAD_BYTES)
    expect(decodeIndex(largest.signed, network).columnBytes).toBe(largest.columnBytes)
    for (const wrong of [
      { ...one, k: 0 },
      { ...one, n: 0 },
      { ...one, k: 2, n: 2, roots: [root, root] },
      { ...one, k: 1, n: 65, roots: Array.from({ length: 65 }, () => root) },
      { ...one, sealedBytes: [], roots: [] },
      { ...one, sealedBytes: [0] },
      { ...one, sealedBytes: [MAX_SEALED_BYTES + 1] },
      { ...one, sealedBytes: [1, 1] },
      { ...one, group: new Uint8Array(31) },
      { ...one, roots: [new Uint8Array(31)] },
      { ...full, sealedBytes: [...full.sealedBytes, 1], roots: [...full.roots, ...full.roots.slice(0, 64)] },
    ]) {
      expectInvalid(() => signIndex(slab, network, wrong))
    }
    expect(redundancyProblem(4, 8)).toBeUndefined()
    expect(redundancyProblem(1.5, 8)).toBeDefined()
  })
})

function expectInvalid(read: () => unknown): void {
  let thrown: unknown
  try {
    read()
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(P2pnodeError)
  expect((thrown as P2pnodeError).code).toBe('ERR_CHUNK_INVALID')
}
