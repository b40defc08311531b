import { createHash } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { createProvides, type ProvideConfig, type ProvideRecords } from '../../src/content/provide/index.ts'
import { openState } from '../../src/storage/state/index.ts'
import type { StateDatabase } from '../../src/storage/state/types.ts'
import type { Pin } from '../../src/storage/types.ts'
import { quiet } from './content.ts'

/** A CID for a text. */
export function cidOf(text: string, codec = 0x70): CID {
  return CID.createV1(codec, createDigest(0x12, createHash('sha256').update(text).digest()))
}

export interface ProvideHouse {
  readonly home: string
  readonly state: StateDatabase
  readonly clock: { nowMs: number }
  /** CIDs in the order in which they were announced. */
  readonly announced: string[]
  readonly withdrawn: string[]
  readonly pinned: CID[]
  /** Whether a CID is the root of a pin. */
  isPinned: (cid: CID) => boolean
  readonly held: Set<string>
  readonly references: CID[]
  readonly privates: Set<string>
  /** Answers the next announcements. */
  network: { peers: number; hasRoutes: boolean; provide: (cid: CID, signal: AbortSignal) => Promise<number> }
  /** Somebody connects. */
  meet(): void
  provides(config?: Partial<ProvideConfig>): ProvideRecords
  /** Closes the database and opens it again. */
  restart(): Promise<void>
  close(): Promise<void>
}

export const PROVIDE_CONFIG: ProvideConfig = {
  strategy: 'roots',
  intervalMs: 22 * 3_600_000,
  concurrency: 4,
  ratePerSecond: 1_000,
}

/** The queue over a real state.db, with a network of which the test says what it answers. */
export async function openProvideHouse(): Promise<ProvideHouse> {
  const home = await mkdtemp(join(tmpdir(), 'p2pnode-provide-'))
  const path = join(home, 'state.db')
  let state = await openState({ path, log: quiet })
  const events = new EventEmitter()
  const open = new Set<ProvideRecords>()
  const house: ProvideHouse = {
    home,
    get state() {
      return state
    },
    clock: { nowMs: 1_700_000_000_000 },
    announced: [],
    withdrawn: [],
    pinned: [],
    isPinned: (cid) => house.pinned.some((pin) => pin.equals(cid)),
    held: new Set(),
    references: [],
    privates: new Set(),
    network: { peers: 1, hasRoutes: true, provide: async () => 1 },
    meet: () => events.emit('peer:identify'),
    provides(config = {}) {
      const provides = createProvides({
        config: { ...PROVIDE_CONFIG, ...config },
        state,
        libp2p: {
          getPeers: () => Array.from({ length: house.network.peers }),
          addEventListener: (name: string, listener: () => void) => events.on(name, listener),
          removeEventListener: (name: string, listener: () => void) => events.off(name, listener),
          contentRouting: {
            async provide(cid: CID, options: { signal: AbortSignal; onProgress(event: unknown): void }) {
              const taken = await house.network.provide(cid, options.signal)
              for (let index = 0; index < taken; index++)
                options.onProgress(
                  new CustomEvent('kad-dht:query:peer-response', { detail: { messageName: 'ADD_PROVIDER' } }),
                )
              if (taken > 0) house.announced.push(cid.toString())
            },
            async cancelReprovide(cid: CID) {
              house.withdrawn.push(cid.toString())
            },
          },
        } as unknown as Parameters<typeof createProvides>[0]['libp2p'],
        storage: {
          blocks: { has: async (cid) => house.held.has(cid.toString()) },
          pins: {
            state: (cid) =>
              house.isPinned(cid)
                ? 'recursive'
                : house.references.some((reference) => reference.equals(cid))
                  ? 'indirect'
                  : 'none',
            list: ({ limit = 1_000, afterId = 0 } = {}) => {
              const pins = house.pinned.slice(afterId, afterId + limit).map((cid) => ({ cid }) as Pin)
              const end = afterId + pins.length
              return { pins, nextAfterId: end < house.pinned.length ? end : null }
            },
            references: ({ after, limit }) => {
              const start =
                after === undefined ? 0 : house.references.findIndex((cid) => cid.equals(after)) + 1
              return house.references.slice(start, start + limit)
            },
          },
        },
        hasRoutes: () => house.network.hasRoutes,
        isPrivate: (cid) => house.privates.has(cid.toString()),
        log: quiet,
        now: () => house.clock.nowMs,
      })
      open.add(provides)
      return provides
    },
    async restart() {
      await Promise.all([...open].map((provides) => provides.stop()))
      open.clear()
      await state.close()
      state = await openState({ path, log: quiet })
    },
    async close() {
      await Promise.all([...open].map((provides) => provides.stop()))
      await state.close()
      await rm(home, { recursive: true, force: true })
    },
  }
  return house
}
