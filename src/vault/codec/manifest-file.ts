/** The .manifest file: a read link together with the sealed manifest. docs/vault-format.md, ".manifest file". */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { ManifestFileSchema } from '../../../protocols/chunk/format/format_pb.ts'
import type { SignedBytes } from '../../../protocols/chunk/types.ts'
import type { Link } from '../types.ts'
import { vaultInvalid } from './errors.ts'
import {
  FORMAT_VERSION,
  HASH_BYTES,
  KEY_BYTES,
  MAX_MANIFEST_FILE_BYTES,
  MAX_SEALED_BYTES,
  PIECE_HEADER_BYTES,
} from './limits.ts'
import { LinkKind } from './link.ts'
import { SEGMENTS_PER_SLAB } from './types.ts'

export interface ManifestFile {
  /** Of the read power: that is what the file is. */
  link: Link
  index: SignedBytes
  pieces: Uint8Array[]
}

export function encodeManifestFile({ link, index, pieces }: ManifestFile): Uint8Array {
  return toBinary(
    ManifestFileSchema,
    create(ManifestFileSchema, {
      version: FORMAT_VERSION,
      power: LinkKind[link.power],
      slab: link.slab,
      key: link.key,
      index: { payload: index.payload, signature: index.signature },
      pieces,
    }),
  )
}

/**
 * The form alone is checked: whoever opens it checks the index's signature and the pieces against it.
 *
 * @throws ERR_VAULT_INVALID
 */
export function decodeManifestFile(bytes: Uint8Array): ManifestFile {
  const message = parsed(bytes)
  const { version, power, slab, key, index, pieces } = message
  if (version !== FORMAT_VERSION) {
    throw vaultInvalid(`the .manifest file is of version ${version}: this p2pnode reads ${FORMAT_VERSION}`)
  }
  if (power !== LinkKind.read) throw vaultInvalid(`the .manifest file holds the unknown power ${power}`)
  const maxPieceBytes = MAX_SEALED_BYTES + PIECE_HEADER_BYTES
  if (
    slab.length !== HASH_BYTES ||
    key.length !== KEY_BYTES ||
    index === undefined ||
    pieces.length < 1 ||
    pieces.length > SEGMENTS_PER_SLAB ||
    pieces.some((piece) => piece.length <= PIECE_HEADER_BYTES || piece.length > maxPieceBytes)
  ) {
    throw vaultInvalid('the .manifest file is malformed')
  }
  return {
    link: { power: 'read', slab, key },
    index: { payload: index.payload, signature: index.signature },
    pieces,
  }
}

function parsed(bytes: Uint8Array) {
  if (bytes.length > MAX_MANIFEST_FILE_BYTES)
    throw vaultInvalid('the file is too large to be a .manifest file')
  try {
    return fromBinary(ManifestFileSchema, bytes, { readUnknownFields: false })
  } catch (error) {
    throw vaultInvalid('the file is no .manifest file, or it is damaged', {}, error)
  }
}
