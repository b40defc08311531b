import type { Route } from './exchange.ts'

/** As much of the node's metrics as the gateway adds to. */
export interface GatewayMetricsSource {
  histogram(options: {
    name: string
    help: string
    labels: readonly ('route' | 'status')[]
    buckets: number[]
  }): { observe(labels: { route: string; status: string }, value: number): void }
  counter(options: { name: string; help: string; labels: readonly 'route'[] }): {
    inc(labels: { route: string }, by: number): void
  }
  observedGauge(options: { name: string; help: string }, read: () => number): void
}

/** Seconds: from what is in memory to a long download. */
const DURATION_BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300]
const FIRST_BYTE_BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60]

/** What the gateway counts. Labels are kinds of answers and statuses, never anything of a request. */
export class GatewayMetrics {
  readonly #durations: ReturnType<GatewayMetricsSource['histogram']>
  readonly #firstBytes: ReturnType<GatewayMetricsSource['histogram']>
  readonly #bytes: ReturnType<GatewayMetricsSource['counter']>

  constructor(source: GatewayMetricsSource, open: () => number) {
    const labels = ['route', 'status'] as const
    this.#durations = source.histogram({
      name: 'p2pnode_gateway_request_duration_seconds',
      help: 'Duration of requests of the gateway, streams included; status 499: the client left before an answer.',
      labels,
      buckets: DURATION_BUCKETS,
    })
    this.#firstBytes = source.histogram({
      name: 'p2pnode_gateway_first_byte_seconds',
      help: 'Time until the head of an answer was sent.',
      labels,
      buckets: FIRST_BYTE_BUCKETS,
    })
    this.#bytes = source.counter({
      name: 'p2pnode_gateway_bytes_total',
      help: 'Bytes of content that were sent.',
      labels: ['route'],
    })
    source.observedGauge({ name: 'p2pnode_gateway_requests_open', help: 'Requests being answered.' }, open)
  }

  answered(route: string, status: number, seconds: number): void {
    this.#durations.observe({ route, status: String(status) }, seconds)
  }

  began(route: string, status: number, seconds: number): void {
    this.#firstBytes.observe({ route, status: String(status) }, seconds)
  }

  sent(route: Route, bytes: number): void {
    this.#bytes.inc({ route }, bytes)
  }
}
