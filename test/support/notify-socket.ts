import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** Listens as a service manager does, and prints each datagram as a JSON list of its lines. */
const SERVER = `
import json, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1])
print("[]", flush=True)
while True:
    print(json.dumps(server.recv(65536).decode().splitlines()), flush=True)
`

/** Why a real notify socket cannot be had here, or undefined where it can. */
export function notifyUnavailable(): string | undefined {
  if (spawnSync('systemd-notify', ['--version'], { stdio: 'ignore' }).status !== 0)
    return 'there is no systemd-notify on this machine'
  if (spawnSync('python3', ['-c', 'import socket'], { stdio: 'ignore' }).status !== 0)
    return 'there is no python3 on this machine, and Node.js has no Unix datagram sockets'
  return undefined
}

/** A real notify socket, and what arrived there. */
export class NotifySocket {
  readonly path: string
  readonly messages: string[][] = []
  readonly #server: ChildProcess
  readonly #listeners = new Set<() => void>()

  private constructor(path: string, server: ChildProcess) {
    this.path = path
    this.#server = server
  }

  static async open(path: string): Promise<NotifySocket> {
    const server = spawn('python3', ['-c', SERVER, path], { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines = createInterface({ input: server.stdout })
    const socket = new NotifySocket(path, server)
    await once(lines, 'line')
    lines.on('line', (line) => {
      const message = JSON.parse(line) as string[]
      // By which the helper learns that what it sent was read.
      if (message.includes('BARRIER=1')) return
      socket.messages.push(message)
      for (const listener of socket.#listeners) listener()
    })
    return socket
  }

  /** The first message after `from` with such a line. */
  async until(line: string | RegExp, from = 0): Promise<string[]> {
    const matches = (text: string): boolean => (typeof line === 'string' ? text === line : line.test(text))
    for (;;) {
      const found = this.messages.slice(from).find((message) => message.some(matches))
      if (found !== undefined) return found
      await new Promise<void>((resolve) => {
        const listener = (): void => {
          this.#listeners.delete(listener)
          resolve()
        }
        this.#listeners.add(listener)
      })
    }
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.kill('SIGKILL')
    await closed
  }
}
