import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { monitorEventLoop, WINDOW_MS } from './event-loop.ts'
import type { EventLoopDelay } from './event-loop.ts'

export type { EventLoopDelay } from './event-loop.ts'

export interface MetricOptions<Label extends string> {
  /** `p2pnode_…`, with its unit, counters ending in `_total` (Prometheus naming). */
  name: string
  help: string
  /** Names of labels. Their values must be few and our own: never a peer id, a CID or an address. */
  labels?: readonly Label[]
}

/** One node's metrics, in a registry of its own: a process may hold many nodes. */
export interface Metrics {
  readonly registry: Registry
  readonly contentType: string
  counter<Label extends string = never>(options: MetricOptions<Label>): Counter<Label>
  gauge<Label extends string = never>(options: MetricOptions<Label>): Gauge<Label>
  /** A gauge whose value is asked when the metrics are read. */
  observedGauge(options: MetricOptions<never>, read: () => number): void
  /** A counter whose total, which never falls, is asked when the metrics are read. */
  observedCounter(options: MetricOptions<never>, readTotal: () => number): void
  /** As the two above, with as many labelled values as there are then. */
  observed<Label extends string = never>(
    kind: 'gauge' | 'counter',
    options: MetricOptions<Label>,
    read: () => { labels?: Record<Label, string>; value: number }[],
  ): void
  histogram<Label extends string = never>(
    options: MetricOptions<Label> & { buckets: number[] },
  ): Histogram<Label>
  /** Everything in Prometheus text format. */
  text(): Promise<string>
  eventLoopDelay(): EventLoopDelay
  eventLoopDelayP99Ms(): number
  /** Ends the watching of the event loop and empties the registry. */
  close(): void
}

/** Upper bounds in seconds around the 50 ms that nothing may block the loop. */
const STALL_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]

const MICROSECONDS_PER_SECOND = 1e6

/**
 * Creates a node's metrics and registers those of the process.
 *
 * prom-client's own default metrics are not used: they watch garbage collection and the loop by observers that can never
 * be ended, one more for each node of a process. Their names are kept where the figure is the same.
 */
export function createMetrics(options: { watchEventLoop?: boolean } = {}): Metrics {
  const registry = new Registry()
  const common = ({ name, help, labels = [] }: MetricOptions<string>) => ({
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
  })
  const metrics: Omit<Metrics, 'eventLoopDelay' | 'eventLoopDelayP99Ms' | 'close'> = {
    registry,
    contentType: registry.contentType,
    counter: (of) => new Counter(common(of)),
    gauge: (of) => new Gauge(common(of)),
    observedGauge(of, read) {
      const gauge: Gauge = new Gauge({ ...common(of), collect: () => gauge.set(read()) })
    },
    observedCounter(of, readTotal) {
      let counted = 0
      const counter: Counter = new Counter({
        ...common(of),
        collect() {
          const total = readTotal()
          if (total > counted) counter.inc(total - counted)
          counted = Math.max(counted, total)
        },
      })
    },
    observed(kind, of, read) {
      const metric =
        kind === 'gauge' ? new Gauge({ ...common(of), collect }) : new Counter({ ...common(of), collect })
      function collect(): void {
        metric.reset()
        for (const { labels, value } of read()) metric.inc(labels ?? {}, value)
      }
    },
    histogram: (of) => new Histogram({ ...common(of), buckets: of.buckets }),
    text: () => registry.metrics(),
  }
  observeProcess(metrics)
  const eventLoop = options.watchEventLoop === false ? undefined : observeEventLoop(metrics)
  const eventLoopDelay = () => eventLoop?.read() ?? { p50Ms: 0, p99Ms: 0, maxMs: 0 }
  return {
    ...metrics,
    eventLoopDelay,
    eventLoopDelayP99Ms: () => eventLoopDelay().p99Ms,
    close() {
      eventLoop?.close()
      registry.clear()
    },
  }
}

type Registrar = Pick<Metrics, 'observedGauge' | 'observedCounter' | 'histogram'>

function observeProcess(metrics: Registrar): void {
  metrics.observedGauge(
    { name: 'process_resident_memory_bytes', help: 'Resident memory of the process.' },
    () => process.memoryUsage.rss(),
  )
  metrics.observedGauge(
    { name: 'nodejs_heap_size_used_bytes', help: 'Used heap of the main thread.' },
    () => process.memoryUsage().heapUsed,
  )
  metrics.observedGauge(
    { name: 'nodejs_external_memory_bytes', help: 'Memory outside of the heap that the main thread holds.' },
    () => process.memoryUsage().external,
  )
  metrics.observedCounter(
    { name: 'process_cpu_user_seconds_total', help: 'CPU time spent in the process itself.' },
    () => process.cpuUsage().user / MICROSECONDS_PER_SECOND,
  )
  metrics.observedCounter(
    { name: 'process_cpu_system_seconds_total', help: 'CPU time that the system spent for the process.' },
    () => process.cpuUsage().system / MICROSECONDS_PER_SECOND,
  )
  metrics.observedGauge(
    {
      name: 'process_start_time_seconds',
      help: 'When the process started, in seconds since the Unix epoch.',
    },
    () => Math.round((Date.now() - process.uptime() * 1000) / 1000),
  )
}

function observeEventLoop(metrics: Registrar) {
  const stalls = metrics.histogram({
    name: 'p2pnode_event_loop_stall_seconds',
    help: `The longest delay of the event loop in each window of ${WINDOW_MS} ms.`,
    buckets: STALL_BUCKETS_SECONDS,
  })
  const monitor = monitorEventLoop(({ maxMs }) => stalls.observe(maxMs / 1000))
  for (const [figure, read] of [
    ['p50', () => monitor.read().p50Ms],
    ['p99', () => monitor.read().p99Ms],
    ['max', () => monitor.read().maxMs],
  ] as const) {
    const name = `p2pnode_event_loop_delay_${figure}_seconds`
    metrics.observedGauge(
      { name, help: `Delay of the event loop over the last ${WINDOW_MS} ms, ${figure}.` },
      () => read() / 1000,
    )
  }
  return monitor
}
