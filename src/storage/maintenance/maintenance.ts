import type { BlockStore } from '../blocks/internal.ts'
import type { Writer } from '../blocks/writer.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Maintenance } from '../types.ts'
import { collect } from './collect.ts'
import { evict } from './evict.ts'
import { scrub } from './scrub.ts'

export interface MaintenanceParts {
  writer: Writer
  blocks: BlockStore
  /** Told to go on with what waited for a damaged block: before a collection, and after blocks were healed. */
  pins: { resume(): Promise<void> }
  log: Logger
  /** Bytes a scrub reads in a second at most; 0 for no limit. */
  scrubRateBytesPerSecond: number
}

/** The collector and the scrub. Both work in small steps beside everything else, and any number of them may run. */
export function createMaintenance(parts: MaintenanceParts): Maintenance {
  return {
    collect: (options) => collect(parts, options),
    evict: (cids, options) => evict(parts, cids, options),
    scrub: (options) => scrub(parts, options),
  }
}
