import { createHash } from 'node:crypto'
import { type IncomingHttpHeaders, request } from 'node:http'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import * as Digest from 'multiformats/hashes/digest'
import type { Bandwidth } from '../../protocols/shared/bandwidth.ts'
import { createGateway, type Gateway } from '../../src/api/gateway/index.ts'
import type { GatewayDependencies, GatewaySettings } from '../../src/api/gateway/types.ts'
import { NOTHING_PRIVATE } from '../../src/content/private/types.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { quiet } from './content.ts'
import { type ContentNode, startContentNode } from './content-node.ts'

export const SETTINGS: GatewaySettings = {
  host: '127.0.0.1',
  port: 0,
  fetch: false,
  deserialized: true,
  hosts: ['localhost'],
  denied: [],
  timeoutMs: 10_000,
  maxRequests: 32,
  maxRequestsPerAddress: 32,
}

const UNLIMITED: Bandwidth = {
  take: () => undefined,
  reserve: () => undefined,
  moved: () => {},
  sliceBytes: () => Infinity,
}

export interface GatewayBench {
  node: ContentNode
  gateway: Gateway
  url: string
  port: number
  metrics: ReturnType<typeof createMetrics>
  /** Another gateway over the same node. */
  another(changes: GatewayChanges): Promise<{ url: string; port: number; gateway: Gateway }>
  close(): Promise<void>
}

export type GatewayChanges = Partial<Omit<GatewayDependencies, 'settings'>> & {
  settings?: Partial<GatewaySettings>
}

/** A real gateway on a free port over a real content node that knows nobody. */
export async function openGateway(changes: GatewayChanges = {}): Promise<GatewayBench> {
  const node = await startContentNode()
  const gateways: Gateway[] = []
  const open = async (
    { settings, ...rest }: GatewayChanges,
    metrics = createMetrics({ watchEventLoop: false }),
  ) => {
    const gateway = await createGateway({
      settings: { ...SETTINGS, ...settings },
      content: node.content,
      privateMark: NOTHING_PRIVATE,
      decideAddress: (address, family) => node.trust.decideAddress(address, family),
      contentPolicy: node.trust,
      bandwidth: UNLIMITED,
      metrics,
      log: quiet,
      ...rest,
    })
    gateways.push(gateway)
    const { url } = await gateway.listen()
    return { url, port: Number(new URL(url).port), gateway }
  }
  const metrics = createMetrics({ watchEventLoop: false })
  const first = await open(changes, metrics)
  return {
    node,
    ...first,
    metrics,
    another: (others) => open(others),
    async close() {
      await Promise.all(gateways.map((gateway) => gateway.close()))
      await node.stop()
    },
  }
}

export interface RawAnswer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
  text: string
}

/** A request as it is written, without what `fetch` makes of paths and headers. */
export function ask(
  port: number,
  path: string,
  options: { headers?: Record<string, string>; method?: string } = {},
): Promise<RawAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>()
  const asked = request(
    {
      host: '127.0.0.1',
      port,
      path,
      method: options.method ?? 'GET',
      headers: options.headers ?? {},
      agent: false,
    },
    (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () => {
        const body = Buffer.concat(parts)
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body, text: body.toString() })
      })
    },
  )
  asked.on('error', reject)
  asked.end()
  return promise
}

export interface MadeBlock {
  cid: CID
  bytes: Uint8Array
}

function made(code: number, bytes: Uint8Array): MadeBlock {
  const digest = Digest.create(0x12, new Uint8Array(createHash('sha256').update(bytes).digest()))
  return { cid: CID.createV1(code, digest), bytes }
}

export const rawBlock = (bytes: Uint8Array | string): MadeBlock =>
  made(raw.code, typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes)

export const cborBlock = (value: unknown): MadeBlock => made(dagCbor.code, dagCbor.encode(value))
export const jsonBlock = (value: unknown): MadeBlock => made(dagJson.code, dagJson.encode(value))

export type Link = readonly [name: string, block: Pick<MadeBlock, 'cid' | 'bytes'>]

export function pbBlock(unixfs: UnixFS, links: readonly Link[], sorted = true): MadeBlock {
  const list = links.map(([Name, { cid, bytes }]) => ({ Name, Hash: cid, Tsize: bytes.length }))
  const node = { Data: unixfs.marshal(), Links: list }
  return made(dagPb.code, dagPb.encode(sorted ? dagPb.prepare(node) : node))
}

export const directory = (links: readonly Link[]): MadeBlock =>
  pbBlock(new UnixFS({ type: 'directory' }), links)

export const symlink = (target: string): MadeBlock =>
  pbBlock(new UnixFS({ type: 'symlink', data: new TextEncoder().encode(target) }), [])

/** A file whose parts are those blocks. */
export function fileOf(
  parts: readonly MadeBlock[],
  sizes = parts.map(({ bytes }) => bytes.length),
): MadeBlock {
  const unixfs = new UnixFS({ type: 'file', blockSizes: sizes.map(BigInt) })
  return pbBlock(
    unixfs,
    parts.map((part) => ['', part] as const),
  )
}

export function blockOf(code: number, text: string): MadeBlock {
  return made(code, new TextEncoder().encode(text))
}

export async function put(node: ContentNode, ...blocks: readonly MadeBlock[]): Promise<void> {
  for (const { cid, bytes } of blocks) await node.storage.blocks.put(cid, bytes)
}
