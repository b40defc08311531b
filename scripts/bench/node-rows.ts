import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Daemon, Lab } from '../../test/support/daemon.ts'
import { cpuSecondsOf, memoryOf } from './processes.ts'
import { MIB, type Row, round } from './report.ts'

function median(values: number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN
}

/** How long a person waits: for a node to be ready, and for a command to answer. */
export async function responseRows(lab: Lab, runs: number): Promise<Row[]> {
  const home = join(await lab.folder(), 'home')
  const startsMs: number[] = []
  const commandsMs: number[] = []
  for (let run = 0; run <= runs; run += 1) {
    const startedAtMs = performance.now()
    const node = await lab.daemon({ home })
    const readyMs = performance.now() - startedAtMs
    // The first start makes the key and the databases, and fills the compile cache.
    if (run > 0) startsMs.push(readyMs)
    for (let command = 0; command < 3; command += 1) {
      const askedAtMs = performance.now()
      await node.json(['status'])
      if (run > 0) commandsMs.push(performance.now() - askedAtMs)
    }
    await node.stop()
  }
  return [
    {
      name: 'start to ready',
      measured: `${round(median(startsMs))} ms`,
      value: median(startsMs) / 1_000,
      unit: 's',
      hold: { atMost: 0.8 },
    },
    {
      name: 'a client command',
      measured: `${round(median(commandsMs))} ms`,
      value: median(commandsMs),
      unit: 'ms',
      hold: { atMost: 120 },
    },
  ]
}

async function trafficBytes(node: Daemon): Promise<number> {
  const response = await fetch(`${node.ready.api}/metrics`)
  const text = await response.text()
  let bytes = 0
  for (const match of text.matchAll(
    /^libp2p_data_transfer_bytes_total\{[^}]*protocol="global (?:sent|received)"[^}]*\} (\S+)/gm,
  ))
    bytes += Number(match[1])
  return bytes
}

/** What a node costs that nobody uses, with eight peers. */
export async function idleRows(lab: Lab, observeMs: number): Promise<Row[]> {
  const node = await lab.daemon()
  const peers: Daemon[] = []
  for (let index = 0; index < 8; index += 1) peers.push(await lab.daemon({ bootstrap: [node.address] }))
  // What connecting costs is not idling: DHT and gossip settle within some seconds.
  await sleep(15_000)
  const connected = (await node.json<{ peers: number }>(['status'])).peers
  const cpuBefore = await cpuSecondsOf(node.ready.pid)
  const trafficBefore = await trafficBytes(node)
  await sleep(observeMs)
  const cpu = ((await cpuSecondsOf(node.ready.pid)) - cpuBefore) / (observeMs / 1_000)
  const traffic = ((await trafficBytes(node)) - trafficBefore) / (observeMs / 1_000)
  const memory = await memoryOf(node.ready.pid)
  await Promise.all([node, ...peers].map((each) => each.stop()))
  const note = `${connected} peers, observed for ${observeMs / 1_000} s`
  return [
    {
      name: 'idle memory',
      measured: `${round(memory.rssBytes / MIB)} MiB`,
      value: memory.rssBytes / MIB,
      unit: 'MiB',
      hold: { atMost: 150 },
      note,
    },
    {
      name: 'idle processor',
      measured: `${round(cpu * 100)} %`,
      value: cpu * 100,
      unit: '%',
      hold: { atMost: 0.5 },
    },
    {
      name: 'idle traffic',
      measured: `${round(traffic / 1024)} KiB/s`,
      value: traffic / 1024,
      unit: 'KiB/s',
      hold: { atMost: 2 },
    },
  ]
}
