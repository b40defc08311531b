import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Lab, p2pnode } from '../support/daemon.ts'
import { NotifySocket, notifyUnavailable } from '../support/notify-socket.ts'

const lab = new Lab()
afterAll(() => lab.close())

const missing = notifyUnavailable()
if (missing !== undefined) console.warn(`SKIPPED: what a service manager is told: ${missing}`)

describe.skipIf(missing !== undefined)('what a service manager is told', () => {
  it('ready once everything serves, signs of life, then stopping', async () => {
    const socket = await NotifySocket.open(join(await lab.folder(), 'notify'))
    try {
      // Twice in these 400 ms a sign of life is due.
      const env = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '400000' }
      const starting = lab.daemon({ env })
      await socket.until('READY=1')
      const node = await starting
      const ready = await fetch(`${node.ready.api}/health/ready`)
      expect(ready.status).toBe(200)
      const status = `STATUS=worker, ready: 0 peers, API ${node.ready.api}`
      expect(socket.messages).toContainEqual(['READY=1', status])
      expect(await socket.until('WATCHDOG=1')).toEqual(['WATCHDOG=1', status])

      expect(await node.stop()).toBe(0)
      await socket.until('STOPPING=1')
      const kinds = socket.messages.map(([first]) => first)
      expect(kinds.filter((kind) => kind === 'READY=1')).toHaveLength(1)
      expect(kinds.indexOf('READY=1')).toBeLessThan(kinds.indexOf('WATCHDOG=1'))
      expect(kinds.at(-1)).toBe('STOPPING=1')
    } finally {
      await socket.close()
    }
  })

  it('no sign of life while the node can store nothing', async () => {
    const socket = await NotifySocket.open(join(await lab.folder(), 'notify'))
    try {
      const hook = new URL('../support/ends-writer.ts', import.meta.url)
      const env = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '400000' }
      const node = await lab.daemon({ env, nodeArgs: ['--import', hook.href] })
      await socket.until('WATCHDOG=1')
      node.process.kill('SIGUSR2')
      await socket.until(/^STATUS=worker, failed: /)
      const from = socket.messages.length
      await socket.until(/^STATUS=worker, failed: .*restart/, from + 2)
      expect(socket.messages.slice(from).flat()).not.toContain('WATCHDOG=1')
      expect(await node.stop()).toBe(0)
    } finally {
      await socket.close()
    }
  })

  it('why a start failed', async () => {
    const socket = await NotifySocket.open(join(await lab.folder(), 'notify'))
    try {
      const node = await lab.daemon()
      const args = ['--home', node.home, 'start', '--listen', '/ip4/127.0.0.1/tcp/0']
      const second = await p2pnode(args, { env: { NOTIFY_SOCKET: socket.path } })
      expect(second.code).toBe(1)
      const [status] = await socket.until(/^STATUS=/)
      expect(status).toContain(node.home)
      expect(socket.messages.flat()).not.toContain('READY=1')
    } finally {
      await socket.close()
    }
  })
})
