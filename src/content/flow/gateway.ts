import type { CID } from 'multiformats/cid'
import { MAX_BLOCK_BYTES } from '../../../protocols/content/limits.ts'
import type { ByteRange, Scope } from '../../../protocols/content/types.ts'
import type { Bandwidth, Flow } from '../../../protocols/shared/bandwidth.ts'
import { FairSlots } from '../../../protocols/shared/fair-slots.ts'
import { gatewayFailed } from '../errors.ts'
import { FAILURES_BEFORE_REST, FIRST_REST_MS, LONGEST_REST_MS, REQUESTS_PER_GATEWAY } from './limits.ts'

/** Scopes as IPIP-402 has them; ours are the same words. */
export interface CarRequest {
  cid: CID
  scope: Scope
  range?: ByteRange | undefined
}

export interface GatewayOptions {
  /** As in `content.gateways`: with a path before `/ipfs/`, and with credentials, where it has them. */
  address: string
  bandwidth?: Bandwidth | undefined
  /** Nothing from the gateway for so long ends a request. */
  idleMs: number
}

const RAW_TYPE = 'application/vnd.ipld.raw'
const CAR_TYPE = 'application/vnd.ipld.car'

/** It does not have it, or does not do that: nothing to hold against it. */
const REFUSALS: ReadonlySet<number> = new Set([400, 403, 404, 405, 406, 410, 415, 451, 501])

/**
 * A trustless gateway (https://specs.ipfs.tech/http-gateways/trustless-gateway/), as a client sees it. No cookie is kept, no
 * redirect followed, nothing decompressed: what it answers is bytes of blocks or of no use. One that fails again and again
 * rests for a while.
 */
export class Gateway {
  readonly name: string
  /** Without credentials, ends without a slash: under this name it is known to the router. */
  readonly url: string
  readonly #authorization: string | undefined
  readonly #bandwidth: Bandwidth | undefined
  readonly #idleMs: number
  readonly #flow: Flow
  readonly #slots = new FairSlots(REQUESTS_PER_GATEWAY, REQUESTS_PER_GATEWAY)
  #failuresInRow = 0
  #restMs = FIRST_REST_MS
  #restsUntilMs = 0
  /** It has said that it makes no CARs. */
  makesCars = true

  constructor({ address, bandwidth, idleMs }: GatewayOptions) {
    const url = new URL(address)
    const { username, password } = url
    this.name = url.host
    this.url = `${url.origin}${url.pathname.replace(/\/+$/, '')}`
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
    this.#authorization =
      credentials === ':' ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`
    this.#bandwidth = bandwidth
    this.#idleMs = idleMs
    this.#flow = { direction: 'in', peer: url.host, protocol: 'gateway' }
  }

  get isResting(): boolean {
    return performance.now() < this.#restsUntilMs
  }

  /** The bytes of one block, unverified and at most as many as a block may have. @throws ERR_GATEWAY_FAILED */
  async block(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    let sizeBytes = 0
    for await (const part of this.#get(`/ipfs/${cid}?format=raw`, RAW_TYPE, signal)) {
      sizeBytes += part.length
      if (sizeBytes > MAX_BLOCK_BYTES) throw this.#failed('a block that is too large')
      parts.push(part)
    }
    return Buffer.concat(parts, sizeBytes)
  }

  /** The bytes of a CAR, as they come and as slowly as they are taken. @throws ERR_GATEWAY_FAILED */
  car({ cid, scope, range }: CarRequest, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const span = range === undefined ? '' : `&entity-bytes=${range.from}:${range.to ?? '*'}`
    const type = `${CAR_TYPE};version=1;order=dfs;dups=n`
    return this.#get(`/ipfs/${cid}?format=car&dag-scope=${scope}${span}&dups=n`, type, signal)
  }

  /** What it sent was right. */
  succeeded(): void {
    this.#failuresInRow = 0
    this.#restMs = FIRST_REST_MS
  }

  /** What it sent was wrong, or came to no end: also said by whoever reads. */
  failed(): void {
    this.#failuresInRow += 1
    if (this.#failuresInRow < FAILURES_BEFORE_REST) return
    this.#rest(this.#restMs)
    this.#restMs = Math.min(2 * this.#restMs, LONGEST_REST_MS)
  }

  async *#get(path: string, accept: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const idle = new AbortController()
    const combined = AbortSignal.any([signal, idle.signal])
    await this.#slots.acquire(this.name, signal)
    try {
      const within = <Result>(answer: Promise<Result>): Promise<Result> => this.#within(answer, idle)
      const response = await within(this.#request(path, accept, combined))
      const reader = response.body?.getReader()
      try {
        for (let part = await within(read(reader)); part !== undefined; part = await within(read(reader))) {
          yield* this.#paced(part, signal)
        }
      } finally {
        // Whoever stops early must not leave the connection full.
        await reader?.cancel().catch(() => {})
      }
    } catch (error) {
      signal.throwIfAborted()
      throw idle.signal.aborted ? this.#failed('silence') : this.#explained(error)
    } finally {
      this.#slots.release(this.name)
    }
  }

  async #request(path: string, accept: string, signal: AbortSignal): Promise<Response> {
    const response = await fetch(`${this.url}${path}`, {
      headers: {
        accept,
        'accept-encoding': 'identity',
        'user-agent': 'p2pnode',
        ...(this.#authorization === undefined ? {} : { authorization: this.#authorization }),
      },
      redirect: 'manual',
      signal,
    })
    const wrong = this.#wrong(response, accept)
    if (wrong === undefined) return response
    await response.body?.cancel().catch(() => {})
    throw wrong
  }

  #wrong(response: Response, accept: string): Error | undefined {
    const { status, headers } = response
    if (REFUSALS.has(status)) return gatewayFailed(this.name, `status ${status}`, { status })
    if (status === 429 || status === 503) {
      const afterMs = Number(headers.get('retry-after')) * 1_000
      this.#rest(afterMs > 0 ? Math.min(afterMs, LONGEST_REST_MS) : FIRST_REST_MS)
      return gatewayFailed(this.name, `status ${status}`, { status })
    }
    if (status >= 300 && status < 400) return this.#failed(`a redirect (${status}), which is not followed`)
    if (status !== 200) return this.#failed(`status ${status}`)
    if (!['', 'identity'].includes(headers.get('content-encoding') ?? ''))
      return this.#failed('compressed bytes')
    const type = headers.get('content-type') ?? ''
    if (!type.startsWith(accept.split(';')[0]!)) {
      return gatewayFailed(this.name, 'another content type', { status: 406 })
    }
    return undefined
  }

  async *#paced(part: Uint8Array, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const sliceBytes = this.#bandwidth?.sliceBytes(this.#flow) ?? Infinity
    for (let at = 0; at < part.length; at += sliceBytes) {
      const slice = part.subarray(at, at + sliceBytes)
      await this.#bandwidth?.take(this.#flow, slice.length, signal)
      yield slice
    }
  }

  /** The answer, unless nothing comes for too long. */
  async #within<Result>(answer: Promise<Result>, idle: AbortController): Promise<Result> {
    const timer = setTimeout(() => idle.abort(), this.#idleMs)
    try {
      return await answer
    } finally {
      clearTimeout(timer)
    }
  }

  #rest(ms: number): void {
    this.#restsUntilMs = performance.now() + ms
  }

  #failed(reason: string): Error {
    this.failed()
    return gatewayFailed(this.name, reason)
  }

  #explained(error: unknown): unknown {
    if (!(error instanceof TypeError)) return error
    const { cause } = error
    const reason =
      cause instanceof Error ? ((cause as { code?: string }).code ?? cause.message) : error.message
    return this.#failed(reason)
  }
}

async function read(
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined,
): Promise<Uint8Array | undefined> {
  const next = await reader?.read()
  return next?.done === false ? next.value : undefined
}
