import type { Connection } from '@libp2p/interface'
import type { Scores } from '../trust/contract.ts'
import type { PeerTraffic } from './traffic.ts'

/** What this node itself has just opened is wanted for something that may not have begun yet. */
const JUST_OPENED_MS = 10_000
/** Scores that differ by less are alike, so that connections do not change places for nothing. */
const SCORE_STEP = 0.05
/** The same of bytes exchanged: one mebibyte or none is alike. */
const BYTES_STEP = 1024 * 1024

/** What makes a peer worth its connection. */
export interface WorthOptions {
  trust: Scores
  traffic: PeerTraffic
  /** Never closed: bootstrap peers and those that the operator protects. */
  isProtected: (peer: string) => boolean
  /** Closed last: a peer that this node depends on, such as one that keeps its owner's columns. */
  isNeeded: (peer: string) => boolean
}

/** Compared from the first to the last; the greater is worth more. */
type Worth = readonly [tier: number, score: number, bytes: number, ageMs: number]

const TIER = { surplus: 0, usual: 1, needed: 2, protected: 3 }

/** The order in which connections are given up when there are too many. */
export interface ConnectionWorth {
  /** The connections that may be closed, the least worth first. */
  ranked(connections: readonly Connection[]): Connection[]
  /** Whether a peer that is not connected yet is worth more than this connection. Of two that are alike the older one stays. */
  isWorthMore(peer: string, than: Connection): boolean
}

export function createWorth({ trust, traffic, isProtected, isNeeded }: WorthOptions): ConnectionWorth {
  function worthOf(peer: string, ageMs: number, isJustOpened: boolean): Worth {
    const isWanted = isJustOpened || traffic.isMoving(peer) || isNeeded(peer)
    const tier = isProtected(peer) ? TIER.protected : isWanted ? TIER.needed : TIER.usual
    const score = Math.round(trust.score(peer) / SCORE_STEP)
    return [tier, score, Math.floor(traffic.lately(peer) / BYTES_STEP), ageMs]
  }

  function worthOfConnection({ remotePeer, direction, timeline }: Connection): Worth {
    const ageMs = Math.max(0, Date.now() - timeline.open)
    return worthOf(remotePeer.toString(), ageMs, direction === 'outbound' && ageMs < JUST_OPENED_MS)
  }

  return {
    ranked(connections) {
      const mains = mainConnections(connections)
      return connections
        .map((connection) => ({ connection, worth: worthOfConnection(connection) }))
        .map(({ connection, worth }): { connection: Connection; worth: Worth } => {
          const isMain = mains.get(connection.remotePeer.toString()) === connection
          return { connection, worth: isMain ? worth : [TIER.surplus, ...tail(worth)] }
        })
        .filter(({ worth }) => worth[0] !== TIER.protected)
        .toSorted((a, b) => compare(a.worth, b.worth))
        .map(({ connection }) => connection)
    },
    isWorthMore(peer, than) {
      return compare(worthOf(peer, 0, false), worthOfConnection(than)) > 0
    },
  }
}

/** Of a peer with several connections, the one that is used most, then the oldest; the others are the first to go. */
function mainConnections(connections: readonly Connection[]): Map<string, Connection> {
  const mains = new Map<string, Connection>()
  for (const connection of connections) {
    const peer = connection.remotePeer.toString()
    const main = mains.get(peer)
    if (main === undefined || isUsedMore(connection, main)) mains.set(peer, connection)
  }
  return mains
}

function isUsedMore(a: Connection, b: Connection): boolean {
  if (a.streams.length !== b.streams.length) return a.streams.length > b.streams.length
  return a.timeline.open < b.timeline.open
}

function tail([, score, bytes, ageMs]: Worth): [number, number, number] {
  return [score, bytes, ageMs]
}

function compare(a: Worth, b: Worth): number {
  for (let index = 0; index < a.length; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
