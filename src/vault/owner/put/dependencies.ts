import type { Chunk } from '../../../../protocols/chunk/types.ts'
import type { Jobs } from '../../../jobs/types.ts'
import type { Logger } from '../../../telemetry/types.ts'
import type { Evidence } from '../../../trust/contract.ts'
import type { ManifestCodec, SegmentCodec } from '../../codec/index.ts'
import type { Placer } from '../../contracts.ts'
import type { OwnerState } from '../state.ts'

/** What the owner's jobs work with. */
export interface OwnerDependencies {
  state: OwnerState
  ownerSecret(): Uint8Array
  networkName: string
  /** HOME/vault: journals, spools and unfinished manifests. */
  workFolder: string
  /** HOME/manifests. */
  manifestsFolder: string
  /** `vault.redundancy`: where a put does not say. */
  redundancy: string
  leaseMs: number
  chunk: Chunk
  placer: Placer
  codec: SegmentCodec
  manifestCodec: ManifestCodec
  trust: Evidence
  jobs: Pick<Jobs, 'submit'>
  log: Logger
  /** Leases were given or have changed: the renewer looks again. */
  onLeases(): void
  /** The owner's state changed in a way that another machine, or a recovery, should know. */
  onChange(): void
}
