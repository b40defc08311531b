import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

export const CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
export const JOB_ID = 'job1'

export const jobOf = (changes: Record<string, unknown> = {}): object => ({
  id: JOB_ID,
  kind: 'get',
  title: 'get something',
  state: 'running',
  progress: null,
  reason: null,
  createdAtMs: 1,
  startedAtMs: 1,
  endedAtMs: null,
  error: null,
  result: null,
  ...changes,
})

export const doneJob = (result: object): object => jobOf({ state: 'done', endedAtMs: 2, result })

export const resolvedFile = (name = ''): object => ({
  root: CID,
  cid: CID,
  path: [],
  name,
  type: 'file',
  size: 10,
  mode: null,
})

type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

/** What answers like a daemon, badly where a test says so: `GET /api/v1/status` → handler. An undefined one stays silent. */
export class ScriptedDaemon {
  readonly routes: Record<string, Handler | undefined> = {}
  /** Method and path of what was asked, in order. */
  readonly asked: string[] = []
  readonly #server = createServer((request, response) => {
    const key = `${request.method} ${new URL(request.url ?? '', 'http://x').pathname}`
    this.asked.push(key)
    if (!(key in this.routes)) {
      json(response, { error: { code: 'ERR_NOT_SCRIPTED', kind: 'failed', message: key } }, 500)
      return
    }
    void this.routes[key]?.(request, response)
  })

  /** Listens, and announces itself in `home`. */
  async start(home: string): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    await mkdir(home, { recursive: true })
    const { port } = this.#server.address() as AddressInfo
    await writeFile(join(home, 'api.json'), JSON.stringify({ url: `http://127.0.0.1:${port}` }))
    await writeFile(join(home, 'api.token'), 'token')
  }

  answer(key: string, value: object): void {
    this.routes[key] = (_, response) => json(response, value)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

export function json(response: ServerResponse, value: object, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}
