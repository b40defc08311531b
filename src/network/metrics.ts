import type {
  CalculateMetric,
  Counter,
  CounterGroup,
  Histogram,
  HistogramGroup,
  MessageStream,
  Metric,
  MetricGroup,
  Metrics,
  Summary,
  SummaryGroup,
} from '@libp2p/interface'
import * as prom from 'prom-client'

/**
 * Values of one label. What libp2p labels by are protocols, operations and error names, a few dozen; the bound holds
 * where a remote could choose the text.
 */
const LABEL_MAX_VALUES = 128
const OTHER = 'other'

interface Options {
  label?: string
  help?: string
  buckets?: number[]
  percentiles?: number[]
  maxAgeSeconds?: number
  ageBuckets?: number
  pruneAgedBuckets?: boolean
  compressCount?: number
  calculate?: CalculateMetric | CalculateMetric<Record<string, number>>
}

/**
 * libp2p's metrics in one node's own prom-client registry.
 *
 * `@libp2p/prometheus-metrics` keeps every metric in a map of its module and empties that map whenever a node is
 * created: with two nodes in a process the figures of the first end up in the second's registry or nowhere, and
 * prom-client's global registry is cleared for everybody. Hence this adapter, which keeps nothing outside itself.
 *
 * Labels carry no peer ids: libp2p puts none in.
 */
export function libp2pMetrics(registry: prom.Registry): () => Metrics {
  return () => createLibp2pMetrics(registry)
}

function createLibp2pMetrics(registry: prom.Registry): Metrics {
  /** Bytes by protocol and direction since the last scrape: a map is cheaper for each message than a labelled counter. */
  const transferred = new Map<string, number>()

  /** libp2p registers some names again (each TCP listener does): the first one is taken up again. */
  function once<T>(name: string, create: (name: string) => T): T {
    const metricName = sanitize(name)
    const existing = registry.getSingleMetric(metricName)
    return (existing as T | undefined) ?? create(metricName)
  }

  function gauge(name: string, options: Options, labelled: boolean): { metric: prom.Gauge; label: string } {
    const label = sanitize(options.label ?? name)
    const { calculate } = options
    const metric = once(
      name,
      (metricName) =>
        new prom.Gauge({
          name: metricName,
          help: options.help ?? metricName,
          labelNames: labelled ? [label] : [],
          registers: [registry],
          ...(calculate === undefined
            ? {}
            : {
                async collect() {
                  const value = await calculate()
                  if (typeof value === 'number') {
                    this.set(value)
                    return
                  }
                  this.reset()
                  for (const [key, single] of Object.entries(value).slice(0, LABEL_MAX_VALUES)) {
                    this.set({ [label]: key }, single)
                  }
                },
              }),
        }),
    )
    return { metric, label }
  }

  function counter(
    name: string,
    options: Options,
    labelled: boolean,
  ): { metric: prom.Counter; label: string } {
    const label = sanitize(options.label ?? name)
    const { calculate } = options
    const metric = once(
      name,
      (metricName) =>
        new prom.Counter({
          name: metricName,
          help: options.help ?? metricName,
          labelNames: labelled ? [label] : [],
          registers: [registry],
          ...(calculate === undefined
            ? {}
            : {
                async collect() {
                  const value = await calculate()
                  if (typeof value === 'number') {
                    this.inc(value)
                    return
                  }
                  for (const [key, single] of Object.entries(value)) {
                    this.inc({ [label]: key }, single)
                  }
                },
              }),
        }),
    )
    return { metric, label }
  }

  function histogram(
    name: string,
    options: Options,
    labelled: boolean,
  ): { metric: prom.Histogram; label: string } {
    const label = sanitize(options.label ?? name)
    const metric = once(
      name,
      (metricName) =>
        new prom.Histogram({
          name: metricName,
          help: options.help ?? metricName,
          labelNames: labelled ? [label] : [],
          registers: [registry],
          ...(options.buckets === undefined ? {} : { buckets: options.buckets }),
        }),
    )
    return { metric, label }
  }

  function summary(
    name: string,
    options: Options,
    labelled: boolean,
  ): { metric: prom.Summary; label: string } {
    const label = sanitize(options.label ?? name)
    const metric = once(
      name,
      (metricName) =>
        new prom.Summary({
          name: metricName,
          help: options.help ?? metricName,
          labelNames: labelled ? [label] : [],
          registers: [registry],
          ...(options.percentiles === undefined ? {} : { percentiles: options.percentiles }),
          ...(options.maxAgeSeconds === undefined ? {} : { maxAgeSeconds: options.maxAgeSeconds }),
          ...(options.ageBuckets === undefined ? {} : { ageBuckets: options.ageBuckets }),
        }),
    )
    return { metric, label }
  }

  function track(stream: MessageStream, name: string): void {
    const add = (direction: string, bytes: number): void => {
      const key = `${name} ${direction}`
      const known = transferred.get(key)
      if (known !== undefined || transferred.size < LABEL_MAX_VALUES) {
        transferred.set(key, (known ?? 0) + bytes)
      }
    }
    // A listener for 'message' would start the flow of data before the protocol's own listener is there, and the first
    // bytes would be lost: so that the events are counted on their way out instead.
    const dispatch = stream.dispatchEvent.bind(stream)
    stream.dispatchEvent = (event) => {
      if (event.type === 'message') {
        add('received', (event as Event & { data: { byteLength: number } }).data.byteLength)
      }
      return dispatch(event)
    }
    const send = stream.send.bind(stream)
    stream.send = (data) => {
      add('sent', data.byteLength)
      return send(data)
    }
  }

  const metrics = {
    trackMultiaddrConnection: (connection: MessageStream) => track(connection, 'global'),
    trackProtocolStream(stream: MessageStream & { protocol?: string }) {
      if (stream.protocol !== undefined) {
        track(stream, stream.protocol)
      }
    },

    registerMetric(name: string, options: Options = {}): Metric {
      const { metric } = gauge(name, options, false)
      return {
        update: (value) => metric.set(value),
        increment: (value = 1) => metric.inc(value),
        decrement: (value = 1) => metric.dec(value),
        reset: () => metric.reset(),
        timer: () => metric.startTimer(),
      }
    },
    registerMetricGroup(name: string, options: Options = {}): MetricGroup {
      const { metric, label } = gauge(name, options, true)
      const bound = boundedLabels()
      return {
        update: (values) => each(values, (key, value) => metric.set({ [label]: bound(key) }, value)),
        increment: (values) => each(values, (key, value) => metric.inc({ [label]: bound(key) }, value)),
        decrement: (values) => each(values, (key, value) => metric.dec({ [label]: bound(key) }, value)),
        reset: () => metric.reset(),
        timer: (key) => metric.startTimer({ [label]: bound(key) }),
      }
    },
    registerCounter(name: string, options: Options = {}): Counter {
      const { metric } = counter(name, options, false)
      return { increment: (value = 1) => metric.inc(value), reset: () => metric.reset() }
    },
    registerCounterGroup(name: string, options: Options = {}): CounterGroup {
      const { metric, label } = counter(name, options, true)
      const bound = boundedLabels()
      return {
        increment: (values) => each(values, (key, value) => metric.inc({ [label]: bound(key) }, value)),
        reset: () => metric.reset(),
      }
    },
    registerHistogram(name: string, options: Options = {}): Histogram {
      const { metric } = histogram(name, options, false)
      return {
        observe: (value) => metric.observe(value),
        reset: () => metric.reset(),
        timer: () => metric.startTimer(),
      }
    },
    registerHistogramGroup(name: string, options: Options = {}): HistogramGroup {
      const { metric, label } = histogram(name, options, true)
      const bound = boundedLabels()
      return {
        observe: (values) => each(values, (key, value) => metric.observe({ [label]: bound(key) }, value)),
        reset: () => metric.reset(),
        timer: (key) => metric.startTimer({ [label]: bound(key) }),
      }
    },
    registerSummary(name: string, options: Options = {}): Summary {
      const { metric } = summary(name, options, false)
      return {
        observe: (value) => metric.observe(value),
        reset: () => metric.reset(),
        timer: () => metric.startTimer(),
      }
    },
    registerSummaryGroup(name: string, options: Options = {}): SummaryGroup {
      const { metric, label } = summary(name, options, true)
      const bound = boundedLabels()
      return {
        observe: (values) => each(values, (key, value) => metric.observe({ [label]: bound(key) }, value)),
        reset: () => metric.reset(),
        timer: (key) => metric.startTimer({ [label]: bound(key) }),
      }
    },

    traceFunction: <F>(_name: string, traced: F): F => traced,
    createTrace: () => undefined,
  }

  metrics.registerCounterGroup('libp2p_data_transfer_bytes_total', {
    label: 'protocol',
    help: 'Bytes by protocol and direction; "global" is everything on the wire',
    calculate: () => {
      const values = Object.fromEntries(transferred)
      transferred.clear()
      return values
    },
  })

  return metrics
}

/** prom-client takes letters, digits and underscores. */
function sanitize(name: string): string {
  return name.replaceAll(/[^a-zA-Z0-9_]+/g, '_')
}

function each(
  values: Partial<Record<string, number | true>>,
  apply: (key: string, value: number) => void,
): void {
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined) {
      apply(key, value === true ? 1 : value)
    }
  }
}

/** Lets the first values of a label through, and calls all later ones `other`. */
function boundedLabels(): (key: string) => string {
  const seen = new Set<string>()
  return (key) => {
    if (seen.has(key)) {
      return key
    }
    if (seen.size >= LABEL_MAX_VALUES) {
      return OTHER
    }
    seen.add(key)
    return key
  }
}
