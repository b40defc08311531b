import type { Connection, IdentifyResult, Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import { multiaddr } from '@multiformats/multiaddr'
import { didFromPeerId } from '../identity/index.ts'
import type { Logger } from '../telemetry/types.ts'
import type { Trust } from '../trust/contract.ts'
import { hostOf, peerOf } from './addresses.ts'
import { dialError } from './dial-error.ts'
import { addressInvalid, denied, peerNotConnected } from './errors.ts'
import type { ConnectionPolicy } from './gater.ts'
import type { PeerHistory } from './history/index.ts'
import { CONNECTION_LIMITS } from './limits.ts'
import type { NetworkServices } from './options.ts'
import type { Network, PeerSummary } from './types.ts'

/** A new peer says who it is in a round trip or two; `connect` waits so long for it, to show more than an address. */
const IDENTIFY_WAIT_MS = 1_000
/** Protocols and characters of a foreign peer's own words that are kept and shown. */
const MAX_PROTOCOLS = 64
const MAX_AGENT_CHARACTERS = 128

export interface NetworkOptions {
  libp2p: Libp2p<Pick<NetworkServices, 'discovery'>>
  identity: { readonly peerId: PeerId; readonly did: string }
  /** With `onChange`, connections that a changed list no longer allows are dropped at once. */
  trust: Trust & ConnectionPolicy & { onChange?(listener: () => void): () => void }
  /** Peers of earlier; without it none are known but those that are connected. */
  history?: Pick<PeerHistory, 'get' | 'recent'>
  log: Logger
}

/** What a peer said about itself; kept while it is connected. */
interface Identified {
  agent: string | null
  protocols: string[]
}

/** The network as the rest of the daemon sees it. `close` lets go of libp2p's events; it does not stop libp2p. */
export function createNetwork({
  libp2p,
  identity,
  trust,
  history,
  log,
}: NetworkOptions): Network & { close(): void } {
  const partLog = log.child({ part: 'network' })
  const identified = new Map<string, Identified>()
  const listeners = new Set<Parameters<Network['onChange']>[0]>()

  function summarize(peer: PeerId, connections: Connection[]): PeerSummary | undefined {
    // The connection that carries the traffic: unlimited before limited, then the oldest.
    const main = connections
      .toSorted((a, b) => Number(isLimited(a)) - Number(isLimited(b)) || a.timeline.open - b.timeline.open)
      .at(0)
    if (main === undefined) {
      return undefined
    }
    const text = peer.toString()
    const known = identified.get(text)
    const past = history?.get(text)
    return {
      peer: text,
      did: didFromPeerId(peer) ?? '',
      addresses: [...new Set(connections.map((connection) => connection.remoteAddr.toString()))],
      direction: main.direction,
      limited: isLimited(main),
      transport: transportOf(main.remoteAddr),
      connectedAtMs: main.timeline.open,
      latencyMs: main.rtt ?? null,
      streams: connections.reduce((sum, connection) => sum + connection.streams.length, 0),
      protocols: known?.protocols ?? [],
      agent: known?.agent ?? null,
      score: trust.score(text),
      bytesIn: past?.bytesIn ?? 0,
      bytesOut: past?.bytesOut ?? 0,
      firstSeenMs: past?.firstSeenMs ?? null,
      connections: past?.successes ?? 0,
      failures: past?.failures ?? 0,
    }
  }

  function openConnections(): Map<string, { peer: PeerId; connections: Connection[] }> {
    const byPeer = new Map<string, { peer: PeerId; connections: Connection[] }>()
    for (const connection of libp2p.getConnections()) {
      if (connection.status !== 'open') {
        continue
      }
      const key = connection.remotePeer.toString()
      const entry = byPeer.get(key)
      if (entry === undefined) {
        byPeer.set(key, { peer: connection.remotePeer, connections: [connection] })
      } else {
        entry.connections.push(connection)
      }
    }
    return byPeer
  }

  function emit(type: 'connected' | 'disconnected', peer: string): void {
    for (const listener of listeners) {
      try {
        listener({ type, peer })
      } catch (error) {
        partLog.error({ err: error }, 'a listener of peer changes failed')
      }
    }
  }

  const onConnect = (event: CustomEvent<PeerId>): void => emit('connected', event.detail.toString())
  const onDisconnect = (event: CustomEvent<PeerId>): void => {
    identified.delete(event.detail.toString())
    emit('disconnected', event.detail.toString())
  }
  const onIdentify = (event: CustomEvent<IdentifyResult>): void => {
    const { peerId, agentVersion, protocols } = event.detail
    if (libp2p.getConnections(peerId).length > 0) {
      identified.set(peerId.toString(), {
        agent: agentVersion?.slice(0, MAX_AGENT_CHARACTERS) ?? null,
        protocols: protocols.slice(0, MAX_PROTOCOLS),
      })
    }
  }
  const onOpen = (event: CustomEvent<Connection>): void => {
    if (event.detail.direction === 'outbound') {
      trust.report(event.detail.remotePeer.toString(), 'dial-succeeded')
    }
  }

  /** Ends what the lists no longer allow; a block that let an open connection go on would be none. */
  function dropRefused(): void {
    for (const connection of libp2p.getConnections()) {
      const peer = connection.remotePeer.toString()
      const address = connection.remoteAddr
      const host = hostOf(address)
      const action = connection.direction === 'inbound' ? 'accept' : 'dial'
      const refused =
        !trust.decide(peer, action, { address: address.toString() }).allowed ||
        (host !== undefined && trust.decideAddress?.(host.address, host.family).allowed === false)
      if (refused) {
        partLog.info({ peer }, 'connection dropped: no longer allowed')
        connection.abort(new Error('this node refuses the peer'))
      }
    }
  }

  libp2p.addEventListener('peer:connect', onConnect)
  libp2p.addEventListener('peer:disconnect', onDisconnect)
  libp2p.addEventListener('peer:identify', onIdentify)
  libp2p.addEventListener('connection:open', onOpen)
  const stopWatching = trust.onChange?.(dropRefused)

  /** Resolves when the peer has said who it is, when it has closed, or when the wait is over. */
  async function waitForIdentify(connection: Connection, signal: AbortSignal): Promise<void> {
    const peer = connection.remotePeer
    if (identified.has(peer.toString()) || connection.status !== 'open') {
      return
    }
    const ended = AbortSignal.any([signal, AbortSignal.timeout(IDENTIFY_WAIT_MS)])
    await new Promise<void>((resolve) => {
      const done = (): void => {
        libp2p.removeEventListener('peer:identify', check)
        connection.removeEventListener('close', done)
        ended.removeEventListener('abort', done)
        resolve()
      }
      const check = (event: CustomEvent<IdentifyResult>): void => {
        if (event.detail.peerId.equals(peer)) {
          done()
        }
      }
      libp2p.addEventListener('peer:identify', check)
      connection.addEventListener('close', done)
      ended.addEventListener('abort', done)
    })
  }

  return {
    peerId: identity.peerId,
    did: identity.did,
    addresses: () => libp2p.getMultiaddrs().map((address) => address.toString()),
    peers() {
      const summaries: PeerSummary[] = []
      for (const { peer, connections } of openConnections().values()) {
        const summary = summarize(peer, connections)
        if (summary !== undefined) {
          summaries.push(summary)
        }
      }
      return summaries.toSorted((a, b) => a.connectedAtMs - b.connectedAtMs)
    },
    peerCount: () => openConnections().size,
    known(limit) {
      const open = openConnections()
      // As many more as there are connected, which are among those that were seen last.
      return (history?.recent(limit + open.size) ?? [])
        .filter(({ peer }) => !open.has(peer))
        .slice(0, limit)
        .map((known) => ({
          ...known,
          did: didFromPeerId(peerIdFromString(known.peer)) ?? '',
          score: trust.score(known.peer),
        }))
    },

    async connect(text, signal) {
      const { address, peer: expected } = parseTarget(text, identity.peerId)
      libp2p.services.discovery.hold(address)
      const timeout = AbortSignal.timeout(CONNECTION_LIMITS.dialTimeoutMs)
      const startedMs = performance.now()
      let connection: Connection
      try {
        signal.throwIfAborted()
        connection = await libp2p.dial(address, { signal: AbortSignal.any([signal, timeout]) })
      } catch (error) {
        const translated = dialError(text, expected, error, {
          cancelled: signal.aborted,
          elapsedMs: Math.round(performance.now() - startedMs),
        })
        if (expected !== undefined && translated.code === 'ERR_DIAL_FAILED') {
          trust.report(expected, 'dial-failed', { reason: translated.kind })
        }
        throw translated
      }
      await waitForIdentify(connection, signal)
      const peer = connection.remotePeer
      const summary = summarize(
        peer,
        libp2p.getConnections(peer).filter(({ status }) => status === 'open'),
      )
      if (summary === undefined) {
        // The other side took the handshake and closed: it is full, or has us on its block list.
        throw denied(peer.toString(), 'the other side closed the connection')
      }
      return summary
    },

    async disconnect(text) {
      const found = [...openConnections().values()].find(
        ({ peer }) => peer.toString() === text || (text.startsWith('did:') && didFromPeerId(peer) === text),
      )
      if (found === undefined) {
        throw peerNotConnected(text)
      }
      await libp2p.services.discovery.release(found.peer)
      await libp2p.hangUp(found.peer, { signal: AbortSignal.timeout(CONNECTION_LIMITS.closeTimeoutMs) })
    },

    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },

    close() {
      libp2p.removeEventListener('peer:connect', onConnect)
      libp2p.removeEventListener('peer:disconnect', onDisconnect)
      libp2p.removeEventListener('peer:identify', onIdentify)
      libp2p.removeEventListener('connection:open', onOpen)
      stopWatching?.()
      listeners.clear()
      identified.clear()
    },
  }
}

/** @throws ERR_ADDRESS_INVALID */
function parseTarget(text: string, self: PeerId): { address: Multiaddr; peer: string | undefined } {
  let address: Multiaddr
  try {
    address = multiaddr(text)
  } catch (cause) {
    throw addressInvalid(text, 'is not a multiaddr such as /ip4/192.0.2.1/tcp/4700/p2p/12D3…', cause)
  }
  if (address.getComponents().length === 0) {
    throw addressInvalid(text, 'is empty; an address looks like /ip4/192.0.2.1/tcp/4700/p2p/12D3…')
  }
  const peer = canonicalPeer(text, peerOf(address))
  if (peer === self.toString()) {
    throw addressInvalid(text, 'is this node itself')
  }
  return { address, peer }
}

/** A peer id has more than one spelling; the rest of the daemon compares one. @throws ERR_ADDRESS_INVALID */
function canonicalPeer(text: string, peer: string | undefined): string | undefined {
  try {
    return peer === undefined ? undefined : peerIdFromString(peer).toString()
  } catch (cause) {
    throw addressInvalid(text, 'ends in something that is not a peer id', cause)
  }
}

function isLimited(connection: Connection): boolean {
  return connection.limits !== undefined
}

/** What carries the connection, by the last part of its address that names a protocol: `tcp`, `ws`, `quic-v1`, `p2p-circuit`. */
function transportOf(address: Multiaddr): string {
  return (
    address
      .getComponents()
      .map(({ name }) => name)
      .findLast((name) => name !== 'p2p' && name !== 'certhash') ?? 'unknown'
  )
}
