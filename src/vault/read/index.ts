/**
 * From a link to bytes.
 *
 * @example
 * const slabs = new SlabReader({ chunk, locator, codec, onMissing })
 * const manifests = new ManifestStore({ chunk, locator, codec: manifestCodec, networkName })
 * const reading = createVaultReading({ manifests, slabs })
 * for await (const bytes of reading.cat(link, { signal })) …
 */
export { ManifestStore } from './manifests.ts'
export { createRepairOnRead } from './repair-on-read.ts'
export type { VaultReading } from './service.ts'
export { createVaultReading } from './service.ts'
export { SlabReader } from './slab-reader.ts'
