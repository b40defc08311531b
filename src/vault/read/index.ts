/**
 * From a link to bytes.
 *
 * @example
 * const slabs = new SlabReader({ chunk, locator, codec, onMissing })
 * const manifests = new ManifestStore({ chunk, locator, codec: manifestCodec, networkName })
 * const reading = createVaultReading({ manifests, slabs })
 * for await (const bytes of reading.cat(link, { signal })) …
 */
export { piecesNotFound } from './errors.ts'
export type { ManifestStoreOptions } from './manifests.ts'
export { ManifestStore } from './manifests.ts'
export type { VaultReading, VaultReadingOptions } from './service.ts'
export { createVaultReading } from './service.ts'
export type { SlabReaderOptions } from './slab-reader.ts'
export { SlabReader } from './slab-reader.ts'
