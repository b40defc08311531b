import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { chunkInvalid } from '../errors.ts'
import type { SignedBytes } from '../types.ts'
import { type Signer, verifyEd25519 } from '../../shared/ed25519.ts'
import { SignedSchema } from './format_pb.ts'
import { MAX_NETWORK_NAME_BYTES, SIGNATURE_BYTES } from './limits.ts'

/** What a statement is about; part of what is signed, so that none can be passed off as another. */
export type StatementKind = 'index' | 'lease' | 'delete' | 'receipt'

const DOMAIN = 'p2pnode/vault/1/'

/** `domain ‖ kind ‖ 0x00 ‖ network name ‖ 0x00 ‖ payload`: a statement holds in one network only. */
function signedInput(kind: StatementKind, networkName: string, payload: Uint8Array): Uint8Array {
  const name = Buffer.from(networkName)
  if (name.length > MAX_NETWORK_NAME_BYTES || name.includes(0)) {
    throw new RangeError('not a name of a network')
  }
  return Buffer.concat([Buffer.from(`${DOMAIN}${kind}\0`), name, Buffer.of(0), payload])
}

export function signStatement(
  signer: Signer,
  kind: StatementKind,
  networkName: string,
  payload: Uint8Array,
): SignedBytes {
  return { payload, signature: signer.sign(signedInput(kind, networkName, payload)) }
}

export function verifyStatement(
  publicKey: Uint8Array,
  kind: StatementKind,
  networkName: string,
  signed: SignedBytes,
): boolean {
  return verifyEd25519(publicKey, signedInput(kind, networkName, signed.payload), signed.signature)
}

/** `Signed` as protobuf: how statements stand in files, rows and data frames. */
export function encodeSigned({ payload, signature }: SignedBytes): Uint8Array {
  return toBinary(SignedSchema, create(SignedSchema, { payload, signature }))
}

/**
 * Nothing is verified but sizes: the statements' own decoders do.
 *
 * @throws ERR_CHUNK_INVALID
 */
export function decodeSigned(bytes: Uint8Array, maxPayloadBytes: number): SignedBytes {
  let signed: SignedBytes
  try {
    signed = fromBinary(SignedSchema, bytes, { readUnknownFields: false })
  } catch (cause) {
    throw chunkInvalid('bytes that are not a signed statement', cause)
  }
  const { payload, signature } = signed
  if (payload.length === 0 || payload.length > maxPayloadBytes || signature.length !== SIGNATURE_BYTES) {
    throw chunkInvalid('a signed statement of the wrong size')
  }
  return { payload, signature }
}
