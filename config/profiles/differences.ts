import type { WrittenValue } from '../leaves.ts'
import type { KeyPath } from '../schema.ts'

/** What a profile changes of the schema's defaults, in written form. */
export type Differences = { readonly [Path in KeyPath]?: WrittenValue }
