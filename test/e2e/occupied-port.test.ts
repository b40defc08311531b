import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { Lab, p2pnode } from '../support/daemon.ts'

const lab = new Lab()
afterAll(() => lab.close())

it('a start on an occupied port says which one and what to do, and fails', async () => {
  const node = await lab.daemon()
  const [apiPort, swarmPort] = [new URL(node.ready.api).port, /\/tcp\/(\d+)/.exec(node.address)?.[1]]
  const gatewayPort = new URL(node.ready.gateway ?? '').port
  const home = join(await lab.folder(), 'home')
  const start = (api: string | undefined, swarm: string | undefined, gateway = '0') => {
    const settings = ['network.mdns=false', `gateway.port=${gateway}`, `api.port=${api}`]
    const set = settings.flatMap((one) => ['--set', one])
    return p2pnode(['--home', home, 'start', '--listen', `/ip4/127.0.0.1/tcp/${swarm}`, ...set])
  }
  const [ofApi, ofSwarm] = [await start(apiPort, '0'), await start('0', swarmPort)]
  const ofGateway = await start('0', '0', gatewayPort)
  expect([ofApi.code, ofApi.stdout]).toEqual([1, ''])
  expect(ofApi.stderr).toMatch(
    new RegExp(`127\\.0\\.0\\.1:${apiPort}: the port is in use; .*--set api\\.port=PORT`),
  )
  expect([ofGateway.code, ofGateway.stdout]).toEqual([1, ''])
  expect(ofGateway.stderr).toMatch(
    new RegExp(`127\\.0\\.0\\.1:${gatewayPort}: the port is in use; .*--set gateway\\.port=PORT`),
  )
  expect([ofSwarm.code, ofSwarm.stdout]).toEqual([1, ''])
  expect(ofSwarm.stderr).toMatch(new RegExp(`:${swarmPort} is in use .*--listen`))
  expect(existsSync(join(home, 'api.json'))).toBe(false)
  expect(await node.stop()).toBe(0)
})
