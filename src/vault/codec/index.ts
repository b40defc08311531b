/**
 * The arithmetic of private files: what turns bytes into pieces and manifests, and back. It knows no peer, no disk and no
 * clock. docs/vault-format.md says what every byte is.
 */
export { createSegmentCodec } from './codec.ts'
export { segmentKey, slabSeed, stateAtRestKey, stateKey, stateSlabSalt, verifyKey } from './keys.ts'
export { formatLink, parseLink } from './link.ts'
export { createManifestCodec, type ManifestCodec } from './manifest.ts'
export { decodeManifestFile, encodeManifestFile, type ManifestFile } from './manifest-file.ts'
export { MIME_SAMPLE_BYTES, mimeOf } from './mime.ts'
export { phraseOf, secretOf as ownerSecretOf } from '../../identity/phrase.ts'
export { sealedBytesOf } from './segment.ts'
export * from './types.ts'
