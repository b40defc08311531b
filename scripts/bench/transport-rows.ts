import { join } from 'node:path'
import type { Daemon, Lab } from '../../test/support/daemon.ts'
import { writeRandomFile } from './files.ts'
import { Peer } from './processes.ts'
import { MIB, type Row, round } from './report.ts'
import { best, fetchIntoStore, measureRaw } from './transfer-rows.ts'

/** Each with its address to listen on, and how much of the file is enough to measure it: the slow ones would take minutes. */
const TRANSPORTS = [
  { name: 'TCP', listen: '/ip4/127.0.0.1/tcp/0', maxBytes: 1024 * MIB },
  { name: 'WebSocket', listen: '/ip4/127.0.0.1/tcp/0/ws', maxBytes: 512 * MIB },
  { name: 'QUIC', listen: '/ip4/127.0.0.1/udp/0/quic-v1', maxBytes: 256 * MIB },
  { name: 'WebRTC-direct', listen: '/ip4/127.0.0.1/udp/0/webrtc-direct', maxBytes: 64 * MIB },
] as const
const RELAYED_MAX_BYTES = 128 * MIB

/**
 * A file fetched into the store over each transport alone, against a bare stream over the same one. The protocol has its own
 * credit, so that it should lose no more where a transport has no back-pressure than where it has.
 */
export async function transportRows(lab: Lab, options: { bytes: number; runs: number }): Promise<Row[]> {
  const rows: Row[] = []
  for (const { name, listen, maxBytes } of TRANSPORTS) {
    const bytes = Math.min(options.bytes, maxBytes)
    const seed = await lab.daemon({ noListen: true, args: ['--listen', listen], set: QUOTA })
    const raw = await measureRaw(bytes, options.runs, listen)
    const single = await best(
      options.runs,
      await fetching(lab, seed, bytes, () => Promise.resolve(first(seed))),
    )
    await seed.stop()
    rows.push(row(`fetch of ${round(bytes / MIB)} MiB over ${name}`, single, raw))
  }
  rows.push(await relayedRow(lab, { bytes: Math.min(options.bytes, RELAYED_MAX_BYTES), runs: options.runs }))
  return rows
}

const QUOTA = { 'storage.quota': '40GiB' }

async function relayedRow(lab: Lab, { bytes, runs }: { bytes: number; runs: number }): Promise<Row> {
  const rawRelay = new Peer(new URL('./raw-peer.ts', import.meta.url), ['relay'])
  const { address } = await rawRelay.next<{ address: string }>()
  const raw = await measureRaw(bytes, runs, `${address}/p2p-circuit`)
  await rawRelay.stop()

  const relay = await lab.daemon({ role: 'master' })
  const seed = await lab.daemon({
    noListen: true,
    bootstrap: [relay.address],
    set: { ...QUOTA, 'network.listen': '[]', 'network.relay.client': 'always' },
  })
  const way = async (): Promise<string> => {
    for (;;) {
      const { multiaddrs } = await seed.json<{ multiaddrs: string[] }>(['id'])
      const relayed = multiaddrs.find((text) => text.includes('/p2p-circuit/'))
      if (relayed !== undefined) return relayed
    }
  }
  const single = await best(runs, await fetching(lab, seed, bytes, way))
  await Promise.all([seed.stop(), relay.stop()])
  return row(`fetch of ${round(bytes / MIB)} MiB through a relay`, single, raw)
}

async function fetching(
  lab: Lab,
  seed: Daemon,
  bytes: number,
  way: () => Promise<string>,
): Promise<() => Promise<{ bytes: number; durationMs: number }>> {
  const path = join(await lab.folder(), 'file')
  await writeRandomFile(path, bytes)
  const { cid } = await seed.json<{ cid: string }>(['add', path], { timeoutMs: 1_800_000 })
  return async () => {
    const timed = await fetchIntoStore(lab, [await way()], cid, bytes)
    await timed.node.stop()
    return timed
  }
}

function first(node: Daemon): string {
  const [address] = node.ready.multiaddrs
  if (address === undefined) throw new Error('the node has no address')
  return address
}

function row(name: string, mibPerSecond: number, raw: number): Row {
  return {
    name,
    measured: `${round(mibPerSecond)} MiB/s`,
    against: `raw stream over the same ${round(raw)} MiB/s`,
    value: mibPerSecond / raw,
    unit: '× raw',
  }
}
