import type { Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { formatBytes, formatDuration, formatTime } from '../format.ts'
import { tableText } from '../table.ts'

function describe(peer: Schema<'PeerSummary'>): string {
  return `${peer.peer} ${peer.addresses[0] ?? ''}`.trim()
}

export async function peers(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.get('/api/v1/peers', { signal: context.signal })
    context.output.result(answer, () =>
      answer.peers.length === 0
        ? 'connected to nobody; connect with: p2pnode connect MULTIADDR'
        : tableText(
            context.output,
            ['PEER', 'ADDRESS', 'DIRECTION', 'LATENCY', 'SCORE', 'IN', 'OUT', 'CONNECTED', 'KNOWN', 'AGENT'],
            answer.peers.map((peer) => [
              peer.peer,
              (peer.addresses[0] ?? '').replace(/\/p2p\/[^/]+$/, ''),
              peer.limited ? `${peer.direction}, relayed` : peer.direction,
              peer.latencyMs === null ? '' : formatDuration(peer.latencyMs),
              peer.score.toFixed(2),
              formatBytes(peer.bytesIn),
              formatBytes(peer.bytesOut),
              formatDuration(Math.max(0, Date.now() - peer.connectedAtMs)),
              knownFor(peer.firstSeenMs, peer.connections),
              peer.agent ?? '',
            ]),
          ),
    )
    return 0
  })
}

/** Peers that were connected before and are away. */
export async function knownPeers(context: CliContext, limit: number | undefined): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.get('/api/v1/peers/known', {
      params: { query: limit === undefined ? {} : { limit } },
      signal: context.signal,
    })
    context.output.result(answer, () =>
      answer.peers.length === 0
        ? 'nobody that was connected before is away'
        : tableText(
            context.output,
            ['PEER', 'ADDRESS', 'SEEN', 'FAILED', 'LATENCY', 'SCORE', 'IN', 'OUT', 'KNOWN', 'AGENT'],
            answer.peers.map((peer) => [
              peer.peer,
              peer.addresses[0] ?? '',
              formatTime(peer.lastSeenMs),
              peer.failuresInRow === 0 ? '' : `${peer.failuresInRow} in a row`,
              peer.latencyMs === null ? '' : formatDuration(peer.latencyMs),
              peer.score.toFixed(2),
              formatBytes(peer.bytesIn),
              formatBytes(peer.bytesOut),
              knownFor(peer.firstSeenMs, peer.successes),
              peer.agent ?? '',
            ]),
          ),
    )
    return 0
  })
}

/** `3 d 4 h, 12 times`. */
function knownFor(firstSeenMs: number | null, connections: number): string {
  if (firstSeenMs === null) return ''
  return `${formatDuration(Math.max(0, Date.now() - firstSeenMs))}, ${connections} times`
}

export async function connect(context: CliContext, multiaddr: string): Promise<number> {
  return withClient(context, async (client) => {
    const peer = await client.post('/api/v1/peers', { body: { multiaddr }, signal: context.signal })
    context.output.result(peer, () => `connected to ${describe(peer)}`)
    return 0
  })
}

export async function disconnect(context: CliContext, peer: string): Promise<number> {
  return withClient(context, async (client) => {
    await client.delete('/api/v1/peers/{peer}', { params: { path: { peer } }, signal: context.signal })
    context.output.result({ disconnected: peer }, () => `disconnected from ${peer}`)
    return 0
  })
}

export async function block(
  context: CliContext,
  peer: string | undefined,
  reason: string | undefined,
): Promise<number> {
  return withClient(context, async (client) => {
    if (peer === undefined) {
      const answer = await client.get('/api/v1/blocklist', { signal: context.signal })
      context.output.result(answer, () =>
        answer.blocked.length === 0
          ? 'nobody is blocked'
          : tableText(
              context.output,
              ['BLOCKED', 'SINCE', 'REASON'],
              answer.blocked.map((entry) => [entry.peer, formatTime(entry.sinceMs), entry.reason ?? '']),
            ),
      )
      return 0
    }
    await client.post('/api/v1/blocklist', {
      body: { peer, ...(reason === undefined ? {} : { reason }) },
      signal: context.signal,
    })
    context.output.result({ blocked: peer }, () => `blocked ${peer}; undo with: p2pnode unblock ${peer}`)
    return 0
  })
}

export async function unblock(context: CliContext, peer: string): Promise<number> {
  return withClient(context, async (client) => {
    await client.delete('/api/v1/blocklist/{peer}', { params: { path: { peer } }, signal: context.signal })
    context.output.result({ unblocked: peer }, () => `no longer blocked: ${peer}`)
    return 0
  })
}

export async function allow(context: CliContext, peer: string | undefined): Promise<number> {
  return withClient(context, async (client) => {
    if (peer === undefined) {
      const answer = await client.get('/api/v1/allowlist', { signal: context.signal })
      context.output.result(answer, () =>
        answer.allowed.length === 0
          ? 'the allow list is empty: everybody who is not blocked is welcome'
          : tableText(
              context.output,
              ['PEER', 'SINCE'],
              answer.allowed.map((entry) => [entry.peer, formatTime(entry.sinceMs)]),
            ),
      )
      return 0
    }
    await client.post('/api/v1/allowlist', { body: { peer }, signal: context.signal })
    context.output.result(
      { allowed: peer },
      () => `allowed ${peer}; nobody off the list is talked to any more`,
    )
    return 0
  })
}

export async function disallow(context: CliContext, peer: string): Promise<number> {
  return withClient(context, async (client) => {
    await client.delete('/api/v1/allowlist/{peer}', { params: { path: { peer } }, signal: context.signal })
    context.output.result({ disallowed: peer }, () => `taken off the allow list: ${peer}`)
    return 0
  })
}
