import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'

const execute = promisify(execFile)
const checkout = fileURLToPath(new URL('../..', import.meta.url))
const unit = `p2pnode-test-${process.pid}`

/** Only where systemd is the machine's init and this user may start services. */
const missing = !existsSync('/run/systemd/system')
  ? 'no systemd runs on this machine'
  : process.getuid?.() === 0
    ? undefined
    : 'only root may start services'
if (missing !== undefined) {
  console.warn(`SKIPPED: the unit under systemd: ${missing}; test/e2e/notify.test.ts has the notify socket`)
}

/** What the unit says of the service, less whose it is, where it lies and what is started. */
function properties(): string[] {
  return readFileSync(`${checkout}/deploy/p2pnode.service`, 'utf8')
    .split('[Service]')[1]!
    .split('[Install]')[0]!
    .split('\n')
    .filter((line) => /^\w+=/.test(line))
    .filter(
      (line) =>
        !/^(Type|User|Group|Environment|EnvironmentFile|ExecStart|ProtectHome|Restart\w*)=/.test(line),
    )
    .map((line) => line.replace(/^StateDirectory=.*/, `StateDirectory=${unit}`))
}

describe.skipIf(missing !== undefined)('the unit under systemd', () => {
  afterAll(async () => {
    await execute('systemctl', ['stop', unit]).catch(() => {})
    await execute('systemctl', ['reset-failed', unit]).catch(() => {})
    await rm(`/var/lib/${unit}`, { recursive: true, force: true })
  })

  const show = async (...names: string[]): Promise<string[]> => {
    const { stdout } = await execute('systemctl', [
      'show',
      unit,
      '--value',
      ...names.flatMap((name) => ['-p', name]),
    ])
    return stdout.trim().split('\n')
  }

  it('is ready when it serves, and stops in order', async () => {
    // Comes back once the service has said that it is ready.
    await execute('systemd-run', [
      `--unit=${unit}`,
      '--service-type=notify',
      // So that how it ended can be asked for.
      '--remain-after-exit',
      ...properties().map((line) => `--property=${line}`),
      `--setenv=P2PNODE_HOME=/var/lib/${unit}`,
      process.execPath,
      `${checkout}/bin/p2pnode.js`,
      'start',
      '--json',
      '--listen',
      '/ip4/127.0.0.1/tcp/0',
      ...['network.mdns=false', 'api.port=0', 'gateway.port=0'].flatMap((setting) => ['--set', setting]),
    ])
    const { url } = JSON.parse(readFileSync(`/var/lib/${unit}/api.json`, 'utf8')) as { url: string }
    expect((await fetch(`${url}/health/ready`)).status).toBe(200)
    expect(await show('StatusText')).toEqual([`worker, ready: 0 peers, API ${url}`])
    const [pid] = await show('MainPID')
    process.kill(Number(pid), 'SIGTERM')
    const ended = async (): Promise<boolean> => (await show('SubState'))[0] !== 'running'
    while (!(await ended())) await new Promise((resolve) => setTimeout(resolve, 200))
    expect(await show('Result', 'ExecMainStatus')).toEqual(['success', '0'])
  })
})
