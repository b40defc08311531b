import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Lab, ReadyLine } from './daemon.ts'

const executable = fileURLToPath(new URL('../../bin/p2pnode.js', import.meta.url))

/**
 * An Internet of three machines out of network namespaces: one in the open at 5.5.5.1, and one each behind a router that
 * masquerades and lets nobody in (`nft`). The addresses are public ones of somebody else, which nothing leaves the namespaces
 * for: what is behind a NAT matters only to public addresses.
 */
export class NatLab {
  readonly #id = `p2pt${process.pid}`
  readonly #processes: { stop(): Promise<void> }[] = []

  /** Why this machine cannot do it, or undefined. */
  static missing(): string | undefined {
    if (process.getuid?.() !== 0) return 'it takes root'
    for (const tool of ['ip', 'nft']) {
      if (spawnSync(tool, ['-V']).error !== undefined) return `there is no ${tool}`
    }
    const name = `p2pt-probe-${process.pid}`
    const made = spawnSync('ip', ['netns', 'add', name])
    if (made.status !== 0) return `ip netns add: ${made.stderr.toString().trim()}`
    const table = spawnSync('ip', ['netns', 'exec', name, 'nft', 'add', 'table', 'ip', 'nat'])
    spawnSync('ip', ['netns', 'del', name])
    return table.status === 0 ? undefined : `nft: ${table.stderr.toString().trim()}`
  }

  async open(): Promise<void> {
    const ns = (name: string): string => this.#namespace(name)
    for (const name of NAMES) {
      await ip('netns', 'add', ns(name))
      await ip('-n', ns(name), 'link', 'set', 'lo', 'up')
    }
    await ip('-n', ns('open'), 'link', 'add', 'street', 'type', 'bridge')
    await ip('-n', ns('open'), 'addr', 'add', '5.5.5.1/24', 'dev', 'street')
    await ip('-n', ns('open'), 'link', 'set', 'street', 'up')
    for (const [side, number] of [
      ['a', 2],
      ['b', 3],
    ] as const) {
      const [router, host] = [ns(`router-${side}`), ns(side)]
      await ip(
        '-n',
        router,
        'link',
        'add',
        'wan',
        'type',
        'veth',
        'peer',
        'name',
        `wan-${side}`,
        'netns',
        ns('open'),
      )
      await ip('-n', ns('open'), 'link', 'set', `wan-${side}`, 'master', 'street', 'up')
      await ip('-n', router, 'addr', 'add', `5.5.5.${number}/24`, 'dev', 'wan')
      await ip('-n', router, 'link', 'set', 'wan', 'up')
      await ip('-n', router, 'link', 'add', 'lan', 'type', 'veth', 'peer', 'name', 'lan', 'netns', host)
      await ip('-n', router, 'addr', 'add', `192.168.${number}.1/24`, 'dev', 'lan')
      await ip('-n', router, 'link', 'set', 'lan', 'up')
      await ip('-n', host, 'addr', 'add', `192.168.${number}.2/24`, 'dev', 'lan')
      await ip('-n', host, 'link', 'set', 'lan', 'up')
      await ip('-n', host, 'route', 'add', 'default', 'via', `192.168.${number}.1`)
      await ip('netns', 'exec', router, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
      for (const rule of RULES) await ip('netns', 'exec', router, 'nft', ...rule.split(' '))
    }
  }

  /** A daemon with its default addresses on one of the machines. */
  async daemon(lab: Lab, machine: 'open' | 'a' | 'b', args: string[]): Promise<NatDaemon> {
    const home = join(await lab.folder(), 'home')
    const inside = ['netns', 'exec', this.#namespace(machine), process.execPath, executable, '--home', home]
    const quiet = ['--set', 'network.mdns=false', '--set', 'api.port=0', '--set', 'gateway.port=0']
    const child = spawn('ip', [...inside, 'start', '--json', ...quiet, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let log = ''
    child.stderr.on('data', (data: Buffer) => {
      log = (log + data.toString()).slice(-65_536)
    })
    this.#processes.push({
      async stop() {
        if (child.exitCode !== null || child.signalCode !== null) return
        const closed = once(child, 'close')
        child.kill('SIGTERM')
        await closed
      },
    })
    const [line] = (await Promise.race([
      once(createInterface({ input: child.stdout }), 'line'),
      once(child, 'close').then(() =>
        Promise.reject(new Error(`the daemon ended before it was ready:\n${log}`)),
      ),
    ])) as [string]
    return {
      ready: JSON.parse(line) as ReadyLine,
      log: () => log,
      json: async <Result>(command: string[]) => {
        const output = await run('ip', [...inside, ...command, '--json'])
        return JSON.parse(output.trim().split('\n').at(-1) ?? '') as Result
      },
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.map((each) => each.stop()))
    for (const name of NAMES) spawnSync('ip', ['netns', 'del', this.#namespace(name)])
  }

  #namespace(name: string): string {
    return `${this.#id}-${name}`
  }
}

export interface NatDaemon {
  ready: ReadyLine
  log(): string
  json<Result>(command: string[]): Promise<Result>
}

const NAMES = ['open', 'router-a', 'router-b', 'a', 'b'] as const
const RULES = [
  'add table ip nat',
  'add chain ip nat out { type nat hook postrouting priority 100 ; }',
  'add rule ip nat out oifname wan masquerade',
  'add table ip guard',
  'add chain ip guard through { type filter hook forward priority 0 ; }',
  'add rule ip guard through iifname wan ct state new drop',
]

async function ip(...args: string[]): Promise<void> {
  await run('ip', args)
}

function run(command: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { timeout: 120_000, maxBuffer: 2 ** 24 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else reject(new Error(`${command} ${args.join(' ')}: ${stderr}${stdout}`, { cause: error }))
    })
  })
}
