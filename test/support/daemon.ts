import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const executable = fileURLToPath(new URL('../../bin/p2pnode.js', import.meta.url))

/** The one line that `start --json` prints. */
export interface ReadyLine {
  peerId: string
  did: string
  multiaddrs: string[]
  api: string
  gateway: string | null
  role: string
  home: string
  pid: number
}

export interface CommandResult {
  code: number
  stdout: string
  stderr: string
  /** The final line of `--json`, parsed. */
  json: <T = Record<string, unknown>>() => T
}

export interface CommandOptions {
  cwd?: string
  env?: Record<string, string>
  timeoutMs?: number
  input?: string
  executable?: string
}

/** The machine's environment less anything that would configure a node. */
function cleanEnvironment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('P2PNODE_'))
  return { ...Object.fromEntries(kept), NO_COLOR: '1', ...extra }
}

/** Runs one command of the built executable to its end. */
export async function p2pnode(args: string[], options: CommandOptions = {}): Promise<CommandResult> {
  const child = spawn(process.execPath, [options.executable ?? executable, ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: cleanEnvironment(options.env),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (data: Buffer) => out.push(data))
  child.stderr.on('data', (data: Buffer) => err.push(data))
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  const timeout = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 120_000)
  const [code, killedBy] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  clearTimeout(timeout)
  const stdout = Buffer.concat(out).toString()
  const stderr = Buffer.concat(err).toString()
  if (killedBy !== null)
    throw new Error(`p2pnode ${args.join(' ')} was ended by ${killedBy}\n${stdout}\n${stderr}`)
  return {
    code: code ?? -1,
    stdout,
    stderr,
    json: <T>() => {
      const lines = stdout.trim().split('\n')
      try {
        return JSON.parse(lines.at(-1) ?? '') as T
      } catch {
        throw new Error(`p2pnode ${args.join(' ')} printed no JSON (exit ${code}):\n${stdout}\n${stderr}`)
      }
    },
  }
}

/** A daemon of its own process, with a client bound to it. */
export class Daemon {
  readonly ready: ReadyLine
  readonly home: string
  readonly process: ChildProcess
  /** What it logged, newest last, at most 64 KiB. */
  log: string

  constructor(child: ChildProcess, home: string, ready: ReadyLine, log: string) {
    this.process = child
    this.home = home
    this.ready = ready
    this.log = log
    child.stderr?.on('data', (data: Buffer) => {
      this.log = (this.log + data.toString()).slice(-65_536)
    })
  }

  get address(): string {
    const address = this.ready.multiaddrs.find((text) => text.includes('/ip4/127.0.0.1/tcp/'))
    if (address === undefined)
      throw new Error(`no loopback address among ${this.ready.multiaddrs.join(', ')}`)
    return address
  }

  run(args: string[], options: CommandOptions = {}): Promise<CommandResult> {
    return p2pnode(['--home', this.home, ...args], options)
  }

  /** Runs a command that must succeed and returns its JSON. */
  async json<T = Record<string, unknown>>(args: string[], options: CommandOptions = {}): Promise<T> {
    const result = await this.run([...args, '--json'], options)
    if (result.code !== 0)
      throw new Error(`p2pnode ${args.join(' ')} exited ${result.code}:\n${result.stdout}\n${result.stderr}`)
    return result.json<T>()
  }

  async token(): Promise<string> {
    const { readFile } = await import('node:fs/promises')
    return (await readFile(join(this.home, 'api.token'), 'utf8')).trim()
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    const closed = once(this.process, 'close')
    this.process.kill('SIGKILL')
    await closed
  }

  /** Stops it as an operator would, and fails where it does not end by itself. */
  async stop(): Promise<number> {
    if (this.process.exitCode !== null) return this.process.exitCode
    const closed = once(this.process, 'close') as Promise<[number | null, NodeJS.Signals | null]>
    this.process.kill('SIGTERM')
    const timeout = setTimeout(() => this.process.kill('SIGKILL'), 30_000)
    const [code, signal] = await closed
    clearTimeout(timeout)
    if (code === null)
      throw new Error(`the daemon was ended by ${signal}, with SIGKILL after 30 s\n${this.log}`)
    return code
  }
}

export interface DaemonOptions extends CommandOptions {
  home?: string
  role?: string
  set?: Record<string, string>
  bootstrap?: string[]
  args?: string[]
  nodeArgs?: string[]
  /** Where to listen is set by `set` instead. */
  noListen?: boolean
}

/** Folders and processes that a test made, taken back together. */
export class Lab {
  readonly #folders: string[] = []
  readonly #daemons: Daemon[] = []

  async folder(): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), 'p2pnode-test-'))
    this.#folders.push(path)
    return path
  }

  /** Starts a daemon on loopback with every port 0 and waits for its ready line. */
  async daemon(options: DaemonOptions = {}): Promise<Daemon> {
    const home = options.home ?? join(await this.folder(), 'home')
    const settings = {
      'api.port': '0',
      'gateway.port': '0',
      'network.mdns': 'false',
      'network.maxInboundPerIpPerSecond': '1000',
      ...options.set,
    }
    const args = [
      ...(options.nodeArgs ?? []),
      options.executable ?? executable,
      '--home',
      home,
      'start',
      '--json',
      '--role',
      options.role ?? 'worker',
      ...(options.noListen === true ? [] : ['--listen', '/ip4/127.0.0.1/tcp/0']),
      ...(options.bootstrap ?? []).flatMap((address) => ['--bootstrap', address]),
      ...Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
      ...(options.args ?? []),
    ]
    const child = spawn(process.execPath, args, {
      env: cleanEnvironment(options.env),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let log = ''
    const collect = (data: Buffer): void => {
      log += data.toString()
    }
    child.stderr.on('data', collect)
    const lines = createInterface({ input: child.stdout })
    const first = await Promise.race([
      once(lines, 'line').then(([line]) => line as string),
      once(child, 'close').then(([code]) => {
        throw new Error(`the daemon ended with ${code} before it was ready:\n${log}`)
      }),
    ])
    child.stderr.off('data', collect)
    const daemon = new Daemon(child, home, JSON.parse(first) as ReadyLine, log)
    this.#daemons.push(daemon)
    return daemon
  }

  async close(): Promise<void> {
    await Promise.all(this.#daemons.map((daemon) => daemon.kill()))
    await Promise.all(this.#folders.map((path) => rm(path, { recursive: true, force: true, maxRetries: 3 })))
  }
}
