import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { CID } from 'multiformats/cid'
import { writeCar } from '../../src/content/read/car.ts'
import type { BlockReader } from '../../src/content/read/block-reader.ts'

export interface GatewayRequest {
  /** `raw`, `car` */
  format: string
  cid: string
  scope: string | null
  headers: IncomingMessage['headers']
}

export interface TestGateway {
  url: string
  /** In the order in which they came. */
  requests: GatewayRequest[]
  /** Answers in place of the gateway where it returns true. */
  script: ((request: GatewayRequest, response: ServerResponse) => boolean) | undefined
  stop(): Promise<void>
}

/** What a gateway has: a store's `get`. */
export interface GatewayBlocks {
  get(cid: CID): Promise<Uint8Array | undefined>
}

/** A trustless gateway on loopback: blocks, and CARs of everything below a CID. */
export async function startGateway(blocks: GatewayBlocks): Promise<TestGateway> {
  const reader: BlockReader = {
    async get(cid) {
      const bytes = await blocks.get(cid)
      if (bytes === undefined) throw new Error('not held')
      return bytes
    },
  }
  const server: Server = createServer((request, response) => {
    void answer(request, response).catch(() => response.destroy())
  })
  const gateway: TestGateway = {
    url: '',
    requests: [],
    script: undefined,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://gateway')
    const asked: GatewayRequest = {
      format: url.searchParams.get('format') ?? '',
      cid: url.pathname.split('/').at(-1) ?? '',
      scope: url.searchParams.get('dag-scope'),
      headers: request.headers,
    }
    gateway.requests.push(asked)
    if (gateway.script?.(asked, response) === true) return
    const cid = CID.parse(asked.cid)
    const bytes = await blocks.get(cid)
    if (bytes === undefined) {
      response.writeHead(404).end('nobody has it')
      return
    }
    if (asked.format === 'raw') {
      response.writeHead(200, { 'content-type': 'application/vnd.ipld.raw' }).end(bytes)
      return
    }
    response.writeHead(200, { 'content-type': 'application/vnd.ipld.car; version=1; order=dfs; dups=n' })
    const signal = AbortSignal.timeout(60_000)
    Readable.from(writeCar(reader, cid, signal))
      .on('error', () => response.destroy())
      .pipe(response)
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  gateway.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return gateway
}
