import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { slabIdOf, slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { ChunkHolder, SlabId } from '../../../protocols/chunk/types.ts'
import { RootFilter } from '../../../protocols/content/index.ts'
import type { BlockSource, Capabilities } from '../../../protocols/content/types.ts'
import type { Replacements } from '../../node/index.ts'
import { forwarding, watched } from './holder.ts'
import { GARBAGE_BLOCK_BYTES, SILENCE_MS } from './limits.ts'
import type { Way } from './ways.ts'

const RAW = 0x55
const SHA_256 = 0x12

/** What hostile peers did to others, counted where it was done. */
export interface Deeds {
  /** Bytes that were sent in the place of what was asked for. */
  falseBytes: number
  /** Answers that were owed or promised, and were not given or were no good. */
  falseAnswers: number
}

/** One hostile peer: what takes the place of its services. */
export interface Hostile {
  readonly replacements: Replacements
  /** Makes it say that it has these, from the next time on that it tells of itself. Undefined: that is not its way. */
  readonly claim?: (roots: readonly CID[], signal: AbortSignal) => Promise<void>
  /** Makes it tell everybody what it says of these peers. Undefined: that is not its way. */
  readonly slander?: (peers: readonly string[]) => void
}

export interface HostileOptions {
  way: Way
  /** Its number among the hostile: where a way has two forms, they take turns. */
  number: number
  deeds: Deeds
  /** Undefined: no node of this network. */
  isFellow: (peer: string) => boolean | undefined
}

export function hostilePeer({ way, number, deeds, isFellow }: HostileOptions): Hostile {
  switch (way) {
    case 'garbage':
      return {
        replacements: { blocks: () => garbageBlocks(deeds), holder: (own) => garbagePieces(own, deeds) },
      }
    case 'silence':
      return {
        replacements: { blocks: () => silentBlocks(deeds), holder: (own) => silentHolder(own, deeds) },
      }
    case 'dropping':
      return {
        replacements: { holder: (own) => droppingHolder(own, deeds, { isBrazen: number % 2 === 0 }) },
      }
    case 'filters':
      return falseFilter(deeds)
    case 'slander':
      return slanderer(isFellow, (own) => droppingHolder(own, deeds, { isBrazen: number % 2 === 0 }))
  }
}

function garbageBlocks(deeds: Deeds): BlockSource {
  return {
    has: async () => true,
    async get() {
      deeds.falseAnswers += 1
      deeds.falseBytes += GARBAGE_BLOCK_BYTES
      return new Uint8Array(GARBAGE_BLOCK_BYTES).fill(0xa5)
    },
  }
}

/** Of the right size, so that only whoever looks sees it. */
function garbagePieces(own: ChunkHolder, deeds: Deeds): ChunkHolder {
  const spoilt = (bytes: Uint8Array): Uint8Array => {
    deeds.falseAnswers += 1
    deeds.falseBytes += bytes.length
    return new Uint8Array(bytes.length).fill(0xa5)
  }
  return {
    ...forwarding(own),
    async piece(slab, segment, options) {
      const piece = await own.piece(slab, segment, options)
      return piece === undefined ? undefined : spoilt(piece)
    },
    async prove(slab, segment, leaf) {
      const proof = await own.prove(slab, segment, leaf)
      return proof === undefined ? undefined : { ...proof, leaf: spoilt(proof.leaf) }
    },
  }
}

function silentBlocks(deeds: Deeds): BlockSource {
  return {
    has: async () => true,
    async get(_cid, { signal }) {
      deeds.falseAnswers += 1
      await sleep(SILENCE_MS, undefined, { signal, ref: false })
      return undefined
    },
  }
}

function silentHolder(own: ChunkHolder, deeds: Deeds): ChunkHolder {
  return {
    ...forwarding(own),
    async piece(_slab, _segment, { signal }) {
      deeds.falseAnswers += 1
      await sleep(SILENCE_MS, undefined, { signal, ref: false })
      return undefined
    },
    async prove() {
      deeds.falseAnswers += 1
      await sleep(SILENCE_MS, undefined, { ref: false })
      return undefined
    },
  }
}

/** A brazen one says that it holds what it threw away, so that audits find it out; another one owns up to whoever asks. */
function droppingHolder(own: ChunkHolder, deeds: Deeds, { isBrazen }: { isBrazen: boolean }): ChunkHolder {
  const dropped = new Set<string>()
  const isDropped = (slab: SlabId): boolean => {
    if (!dropped.has(slabKeyOf(slab))) return false
    deeds.falseAnswers += 1
    return true
  }
  const keeping = watched(own, (open) => () => dropped.add(slabKeyOf(slabIdOf(open.publicKey))))
  return {
    ...keeping,
    have: (slabs) => (isBrazen ? own.have(slabs) : own.have(slabs).filter(({ slab }) => !isDropped(slab))),
    piece: async (slab, segment, options) =>
      isDropped(slab) ? undefined : own.piece(slab, segment, options),
    prove: async (slab, segment, leaf) => (isDropped(slab) ? undefined : own.prove(slab, segment, leaf)),
  }
}

function falseFilter(deeds: Deeds): Hostile {
  let block: { cid: CID; bytes: Uint8Array; filter: RootFilter } | undefined
  const told = (own: Capabilities): Capabilities =>
    block === undefined ? own : { ...own, filter: { cid: block.cid, bytes: block.bytes.length } }
  return {
    replacements: {
      capabilities: (init) => ({ ...init, own: () => told(init.own()) }),
      blocks: (own) => ({
        has: (cid) => own.has(cid),
        async get(cid, options) {
          if (block?.cid.equals(cid) === true) return block.bytes
          const bytes = await own.get(cid, options)
          if (bytes === undefined && block?.filter.mayHave(cid) === true) deeds.falseAnswers += 1
          return bytes
        },
      }),
    },
    async claim(roots, signal) {
      const filter = await RootFilter.build(roots, 1, signal)
      const bytes = filter.encode()
      const digest = Digest.create(SHA_256, createHash('sha256').update(bytes).digest())
      block = { cid: CID.createV1(RAW, digest), bytes, filter }
    },
  }
}

/** What it says it has seen: as much as an honest node that has been there for months. */
const SLANDER_EVIDENCE = 1_000

/** Its node tells what it has seen, signed and by every way there is; what it has seen is made up. */
function slanderer(
  isFellow: HostileOptions['isFellow'],
  holder: NonNullable<Replacements['holder']>,
): Hostile {
  const listeners = new Set<(peer: string, isBanned: boolean) => void>()
  return {
    replacements: {
      holder,
      trust: (own) => ({
        ...own,
        seen(peer) {
          const fellow = isFellow(peer)
          if (fellow === undefined) return own.seen(peer)
          const score = Number(fellow)
          return { honesty: score, reliability: score, evidence: SLANDER_EVIDENCE, isSetByHand: false }
        },
        onSeen(listener) {
          listeners.add(listener)
          const end = own.onSeen(listener)
          return () => {
            listeners.delete(listener)
            end()
          }
        },
      }),
    },
    slander(peers) {
      // As of a peer that was just banned: that is told at once.
      for (const peer of peers) for (const listener of listeners) listener(peer, true)
    },
  }
}
