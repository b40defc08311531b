/**
 * What the bytes of slabs are, the same on the wire, on a holder's disk and with the owner: ids, Merkle roots, and
 * the statements that slabs and holders sign. Pure; docs/vault-format.md describes it.
 */
export { ed25519Signer, type Signer } from '../../shared/ed25519.ts'
export * from './limits.ts'
export { leafCount, PieceHasher, pieceRoot, prove, verifyProof } from './merkle.ts'
export { decodeDeletions, encodeDeletions } from './deletions.ts'
export { decodeSigned, encodeSigned } from './signed.ts'
export { groupCid, isSlabId, sameBytes, slabIdOf, slabKeyOf, slabOf } from './slab-id.ts'
export {
  decodeIndex,
  type IndexFields,
  parseIndex,
  pieceBytesOf,
  redundancyProblem,
  signIndex,
} from './slab-index.ts'
export {
  decodeDeletion,
  decodeLease,
  decodeReceipt,
  signDeletion,
  signLease,
  signReceipt,
} from './statements.ts'
