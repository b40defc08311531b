import type { Database } from 'better-sqlite3'
import { createTables } from './migration-1.ts'
import { createColumnTables } from './migration-2.ts'
import { createHolderTables } from './migration-3.ts'
import { createOwnerTables } from './migration-4.ts'
import { createProofTable } from './migration-5.ts'
import { createHealthTable } from './migration-6.ts'
import { createPeerTable } from './migration-7.ts'
import { createProvideTable } from './migration-8.ts'
import { createNameTables } from './migration-9.ts'
import { createTrustTables } from './migration-10.ts'
import { createPolicyTables } from './migration-11.ts'
import { createSourceTable } from './migration-12.ts'
import { createMessageTable } from './migration-13.ts'
import { createPinRequestTable } from './migration-14.ts'
import { createCacheTable } from './migration-15.ts'
import { createSwarmTables } from './migration-16.ts'
import { createCatalogTables } from './migration-17.ts'
import { createRecommendationTables } from './migration-18.ts'
import { createHookTables } from './migration-19.ts'
import { createSwarmOrder } from './migration-20.ts'

/** One step from the version before to `version`. */
export interface Migration {
  /** Versions count from 1 without gaps. */
  version: number
  /** For the log and the table `migration`: what the step does, in a few words. */
  name: string
  /**
   * Runs in a transaction of its own. Returning 'more' commits what was done so far and calls again: a step over much
   * data does a slice a call and finds its own place, so that it neither blocks the process nor starts over after a
   * crash. Anything else ends the step.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: a step that fits in one transaction returns nothing
  run(db: Database): 'more' | void
}

/** Append only: what a release has shipped is never edited. */
export const MIGRATIONS: readonly Migration[] = [
  { version: 1, name: 'create the tables', run: createTables },
  { version: 2, name: 'columns kept for others', run: createColumnTables },
  { version: 3, name: 'who keeps the other columns', run: createHolderTables },
  { version: 4, name: "what this node's owner put", run: createOwnerTables },
  { version: 5, name: 'proofs of columns elsewhere', run: createProofTable },
  { version: 6, name: "what was measured of this node's objects", run: createHealthTable },
  { version: 7, name: 'peers that were connected', run: createPeerTable },
  { version: 8, name: 'provider records', run: createProvideTable },
  { version: 9, name: 'names and their records', run: createNameTables },
  { version: 10, name: 'what is known of peers', run: createTrustTables },
  { version: 11, name: 'pin policies and promises', run: createPolicyTables },
  { version: 12, name: 'what was learned about sources', run: createSourceTable },
  { version: 13, name: 'messages that were heard', run: createMessageTable },
  { version: 14, name: 'what others asked to pin', run: createPinRequestTable },
  { version: 15, name: 'content that may be evicted', run: createCacheTable },
  { version: 16, name: 'the swarm and its members', run: createSwarmTables },
  { version: 17, name: 'the public catalogue', run: createCatalogTables },
  { version: 18, name: 'what peers say of each other', run: createRecommendationTables },
  { version: 19, name: 'webhooks', run: createHookTables },
  { version: 20, name: 'the order of invitations and revocations', run: createSwarmOrder },
]
