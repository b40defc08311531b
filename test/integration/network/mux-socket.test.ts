import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import type { Knock } from '../../../src/network/transports/mux-socket.ts'
import { leaseMuxSocket } from '../../../src/network/transports/mux-socket.ts'
import { eventually } from '../../support/network.ts'
import { knock } from '../../support/stun.ts'

// A file of its own, and thus a process: what is wrong here ends it by a signal.

const HOST = '127.0.0.1'

const outside = createSocket('udp4')
afterAll(() => outside.close())

const NAME = /^libp2p\+webrtc\+v1\/\d{12}$/
let names = 0
/** Knocks under a new name until it is heard there. */
async function knocksUntilHeard(port: number, heard: Knock[]): Promise<Knock> {
  names += 1
  const ufrag = `libp2p+webrtc+v1/${names.toString().padStart(12, '0')}`
  const isIt = (knock: Knock): boolean => knock.ufrag === ufrag
  await eventually(`${ufrag} is heard`, () => {
    outside.send(knock(ufrag), port, HOST)
    return heard.some(isIt)
  })
  return heard.find(isIt)!
}

describe("WebRTC-direct's socket", () => {
  it('is heard while it is leased, and whatever comes later does no harm', async () => {
    const ports = new Set<number>()
    for (let round = 0; round < 30; round++) {
      const knocks: Knock[] = []
      const lease = await leaseMuxSocket(HOST, 0, (knock) => knocks.push(knock))
      const { port } = lease.address()
      ports.add(port)
      expect(await knocksUntilHeard(port, knocks)).toMatchObject({ host: HOST, port: outside.address().port })
      await lease.close()
      const { length } = knocks
      for (let sent = 0; sent < 20; sent++) outside.send(knock(), port, HOST)
      // The next to have it hears what comes from now on, also where the one before closes once more.
      const later: Knock[] = []
      const next = await leaseMuxSocket(HOST, port, (knock) => later.push(knock))
      await knocksUntilHeard(port, later)
      await lease.close()
      await knocksUntilHeard(port, later)
      await next.close()
      expect(knocks).toHaveLength(length)
    }
    expect(ports.size).toBe(1)
  })

  it('is one for each who has it at the same time, and a taken port is refused', async () => {
    const any = await Promise.all([1, 2].map(() => leaseMuxSocket(HOST, 0, () => {})))
    const [one, two] = any.map((lease) => lease.address().port) as [number, number]
    expect(one).not.toBe(two)
    await expect(leaseMuxSocket(HOST, one, () => {})).rejects.toThrow()
    for (const lease of any) await lease.close()
    // What was opened for another address is no use.
    await expect(leaseMuxSocket('127.0.0.2', one, () => {})).rejects.toThrow()
  })

  it('passes no name on that the addon would not bear', async () => {
    const knocks: Knock[] = []
    const lease = await leaseMuxSocket(HOST, 0, (knock) => knocks.push(knock))
    const { port } = lease.address()
    for (const wrong of [
      '',
      'short',
      'with space'.padEnd(32, 'x'),
      'x\u0000'.repeat(16),
      'é'.repeat(30),
      'x'.repeat(257),
    ])
      for (let sent = 0; sent < 5; sent++) outside.send(knock(wrong), port, HOST)
    outside.send(Buffer.from('garbage'), port, HOST)
    await knocksUntilHeard(port, knocks)
    expect(knocks.filter(({ ufrag }) => !NAME.test(ufrag))).toEqual([])
    await lease.close()
  })

  it('lets nobody write to standard output', async () => {
    const script = fileURLToPath(new URL('../../support/mux-child.ts', import.meta.url))
    const child = spawn(process.execPath, [script, HOST], { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines: string[] = []
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
    try {
      await eventually('it listens', () => lines.length > 0)
      const name = 'libp2p+webrtc+v1/000000000000'
      await eventually('it has heard the good one', () => {
        for (const datagram of [knock('x'.repeat(300)), knock(name)])
          outside.send(datagram, Number(lines[0]), HOST)
        return lines.includes(name)
      })
      expect(lines.filter((line) => line !== name)).toEqual([lines[0]])
    } finally {
      child.kill('SIGKILL')
    }
  })
})
