import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { type Daemon, Lab } from '../../support/daemon.ts'
import { knock } from '../../support/stun.ts'
import { addressBy, LISTEN } from '../../support/swarm.ts'

const MIB = 2 ** 20
const LARGE_BYTES = 24 * MIB

const lab = new Lab()
afterAll(() => lab.close())

/** What `/health/ready` says, again and again on new connections, until nobody answers any more. */
async function watchReadiness(api: string): Promise<string[]> {
  const seen: string[] = []
  for (;;) {
    try {
      const answer = await fetch(`${api}/health/ready`, { headers: { connection: 'close' } })
      const { state } = (await answer.json()) as { state: string }
      const said = `${answer.status} ${state}`
      if (seen.at(-1) !== said) seen.push(said)
      await new Promise((resolve) => setTimeout(resolve, 10))
    } catch {
      return seen
    }
  }
}

// It ends itself by force, with 1, where a stop takes longer than 9.5 s: exit code 0 is the time limit.
it('a busy node stops in order in time, says first that it does, and goes on where it was', async () => {
  const folder = await lab.folder()
  const giver = await lab.daemon()
  // So slow that the fetch is under way when the stop comes, however busy the machine is.
  const taker = await lab.daemon({ set: { 'limits.bandwidth.global.in': '2MiB/s' } })
  await taker.json(['connect', giver.address])
  const small = join(folder, 'small')
  await writeFile(small, randomBytes(2 * MIB))
  const { cid } = await taker.json<{ cid: string }>(['add', small])
  const large = join(folder, 'large')
  const bytes = randomBytes(LARGE_BYTES)
  await writeFile(large, bytes)
  const added = await giver.json<{ cid: string }>(['add', large, '--no-pin'])

  // A fetch from another node and an upload, both under way.
  const fetching = taker.run(['get', added.cid, '-o', join(folder, 'copy'), '--json'])
  const adding = taker.run(['add', large, '--json'])
  const isFetching = async (): Promise<boolean> => {
    const { jobs } = await taker.json<{ jobs: { kind: string; state: string }[] }>(['jobs', 'ls'])
    return jobs.some(({ kind, state }) => kind === 'get' && state === 'running')
  }
  while (!(await isFetching()));

  const watching = watchReadiness(taker.ready.api)
  expect(await taker.stop()).toBe(0)
  expect((await watching).filter((said) => said !== '200 ready')).toEqual(['503 stopping'])
  expect(existsSync(join(taker.home, 'api.json'))).toBe(false)

  const again = await lab.daemon({ home: taker.home })
  const read = await again.run(['cat', cid, '--length', '1'])
  expect(read.code, read.stderr).toBe(0)
  await again.json(['connect', giver.address])
  // Their commands waited for it, and go on where they were.
  expect((await adding).json()).toMatchObject({ cid: added.cid })
  expect((await fetching).code).toBe(0)
  expect((await readFile(join(folder, 'copy'))).equals(bytes)).toBe(true)
  expect(await again.stop()).toBe(0)
  expect(await giver.stop()).toBe(0)
})

/** Knocks at a WebRTC-direct address without a pause, each time as somebody else, until it is told to end. */
function knockAt(address: string): () => void {
  const port = Number(/\/udp\/(\d+)\/webrtc-direct/.exec(address)?.[1])
  const socket = createSocket('udp4')
  const timer = setInterval(() => {
    for (let sent = 0; sent < 5; sent++) socket.send(knock(), port, '127.0.0.1')
  }, 1)
  return () => {
    clearInterval(timer)
    socket.close()
  }
}

it('nodes with WebRTC connections go on when their door closes and end with 0, whoever knocks', async () => {
  const addresses = JSON.stringify(Object.values(LISTEN))
  const start = (): Promise<Daemon> =>
    lab.daemon({ noListen: true, set: { 'network.listen': addresses, 'swarm.listen': addresses } })
  const at = (node: Daemon): string => addressBy('webrtcDirect', node.ready)
  for (let round = 0; round < 5; round++) {
    const [owner, member, stranger] = [await start(), await start(), await start()]
    await owner.json(['swarm', 'create'])
    const { token } = await owner.json<{ token: string }>(['swarm', 'invite'])
    const door = /\/ip4\/127\.0\.0\.1\/udp\/\d+\/webrtc-direct/.exec(owner.log)
    const quiet = [door![0], ...[owner, member, stranger].map(at)].map(knockAt)
    await member.json(['swarm', 'join', token])
    await owner.json(['connect', at(member)])
    await stranger.run(['connect', at(owner)])
    await owner.run(['connect', at(stranger)])
    // The second loses its peer before it stops, the third was never let in.
    for (const node of [owner, member, stranger]) expect(await node.stop(), node.log).toBe(0)
    for (const end of quiet) end()
  }
})
