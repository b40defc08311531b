/**
 * Pin policies: what this node keeps without being told each time, and what nodes keep for each other.
 *
 * ```ts
 * const policies = createPolicies({ config, state, storage, jobs, trust, announcements, log })
 * // … libp2p with keep({ holder: policies.holder }), the content service with its hooks
 * policies.start({ libp2p, keep: libp2p.services.keep, content: libp2p.services.content })
 * await policies.add({ kind: 'copies', copies: 3, minScore: 0.5 })
 * await policies.stop()
 * ```
 *
 * Reading order: `types.ts` (the rules), `auto.ts`, `recent.ts`, `promises.ts` (what is kept for others), `copies.ts` and
 * `caretaker.ts` (what others keep), `limits.ts`.
 */
import type { Libp2p } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Content } from '../../../protocols/content/types.ts'
import type { Holder, Keep } from '../../../protocols/keep/types.ts'
import type { Jobs } from '../../jobs/types.ts'
import type { StateDatabase } from '../../storage/state/types.ts'
import type { Storage } from '../../storage/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Trust } from '../../trust/contract.ts'
import type { Announcements } from '../announce/index.ts'
import type { AcquireParams } from '../jobs/acquire.ts'
import type { CopiesConfig } from './copies.ts'
import { NodePolicies } from './policies.ts'
import type { PinPolicies } from './types.ts'

export type * from './types.ts'

export interface PoliciesConfig extends CopiesConfig {
  /** Bytes lent to others' public content. */
  offerBytes: number
  /** Least score of a peer for which any is kept. */
  minScore: number
  /** What is announced is fetched, unpinned: whether, how much a day, of whom. */
  autoFetch: { isOn: boolean; budgetBytes: number; minScore: number }
}

export interface PoliciesOptions {
  config: PoliciesConfig
  state: StateDatabase
  storage: Pick<Storage, 'blocks' | 'pins'>
  jobs: Pick<Jobs, 'list' | 'submit'>
  trust: Trust
  announcements: Pick<Announcements, 'onAnnouncement'>
  /** Whether a CID must not leave the swarm; by default nothing is private. */
  isPrivate?: ((cid: CID) => boolean | Promise<boolean>) | undefined
  log: Logger
  now?: () => number
}

export interface PolicyNetwork {
  libp2p: Pick<Libp2p, 'getPeers' | 'addEventListener' | 'removeEventListener'>
  keep: Keep
  content: Pick<Content, 'fetchBlock'>
}

export interface RunningPolicies extends PinPolicies {
  /** What answers others that ask this node to keep something. */
  readonly holder: Holder
  start(network: PolicyNetwork): void
  stop(): Promise<void>
  /** Something was read to its end, by a person. Never throws. */
  onRead(cid: CID, sizeBytes: number): void
  /** A person has pinned or unpinned something. */
  onPinsChanged(): void
  /** An `acquire` job has ended. */
  onAcquired(params: AcquireParams): void
  onGivenUp(params: AcquireParams): void
}

export function createPolicies(options: PoliciesOptions): RunningPolicies {
  return new NodePolicies(options)
}
