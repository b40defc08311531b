import type { MessageStream, Stream } from '@libp2p/interface'
import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { libp2pMetrics } from '../../../src/network/metrics.ts'

describe('libp2p’s metrics', () => {
  it('land in the registry they were given, whoever came later', async () => {
    const [one, two] = [new Registry(), new Registry()]
    const [first, second] = [libp2pMetrics(one)(), libp2pMetrics(two)()]
    first.registerMetric('a_gauge').update(1)
    second.registerMetric('a_gauge').update(2)
    first.registerCounter('late_counter').increment(3)
    expect(await one.metrics()).toMatch(/a_gauge 1\n/)
    expect(await one.metrics()).toMatch(/late_counter 3\n/)
    expect(await two.metrics()).toMatch(/a_gauge 2\n/)
    expect(await two.metrics()).not.toContain('late_counter')
  })

  it('of every kind are written out', async () => {
    const registry = new Registry()
    const metrics = libp2pMetrics(registry)()
    metrics.registerMetricGroup('group', { label: 'part' }).update({ a: 1, b: 2 })
    metrics.registerCounterGroup('counters').increment({ x: true, y: 5 })
    metrics.registerHistogram('histogram', { buckets: [1, 10] }).observe(5)
    metrics.registerHistogramGroup('histograms', { buckets: [1], label: 'part' }).observe({ a: 0.5 })
    metrics.registerSummary('summary', { percentiles: [0.5] }).observe(7)
    metrics.registerSummaryGroup('summaries', { percentiles: [0.5], label: 'part' }).observe({ a: 9 })
    metrics.registerMetric('calculated', { calculate: () => 11 })
    metrics.registerMetricGroup('calculated_group', {
      label: 'part',
      calculate: () => Promise.resolve({ z: 12 }),
    })
    const text = await registry.metrics()
    for (const line of [
      'group{part="a"} 1',
      'group{part="b"} 2',
      'counters{counters="x"} 1',
      'counters{counters="y"} 5',
      'histogram_bucket{le="10"} 1',
      'histograms_bucket{le="1",part="a"} 1',
      'summary{quantile="0.5"} 7',
      'summaries{quantile="0.5",part="a"} 9',
      'calculated 11',
      'calculated_group{part="z"} 12',
    ]) {
      expect(text).toContain(`\n${line}\n`)
    }
  })

  it('take up a name that is registered again, and mend names that Prometheus refuses', async () => {
    const registry = new Registry()
    const metrics = libp2pMetrics(registry)()
    metrics.registerCounter('libp2p_webrtc-direct_events').increment()
    metrics.registerCounter('libp2p_webrtc-direct_events').increment()
    expect(await registry.metrics()).toContain('libp2p_webrtc_direct_events 2')
  })

  it('let no remote grow a label without bound', async () => {
    const registry = new Registry()
    const group = libp2pMetrics(registry)().registerCounterGroup('errors', { label: 'name' })
    for (let index = 0; index < 1_000; index++) {
      group.increment({ [`error ${index}`]: true })
    }
    const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('errors{'))
    expect(lines).toHaveLength(129)
    expect(lines).toContain(`errors{name="other"} ${1_000 - 128}`)
  })

  it('count the bytes of streams by protocol and direction, each byte once', async () => {
    const registry = new Registry()
    const metrics = libp2pMetrics(registry)()
    const stream = Object.assign(new EventTarget(), {
      protocol: '/test/1.0.0',
      send: () => true,
    }) as unknown as Stream
    metrics.trackProtocolStream(stream)
    metrics.trackMultiaddrConnection(
      stream as unknown as Parameters<typeof metrics.trackMultiaddrConnection>[0],
    )
    stream.send(new Uint8Array(10))
    stream.dispatchEvent(
      Object.assign(new Event('message'), { data: new Uint8Array(7) }) as Parameters<
        MessageStream['dispatchEvent']
      >[0],
    )
    for (const _scrape of [1, 2]) {
      const text = await registry.metrics()
      expect(text).toContain('libp2p_data_transfer_bytes_total{protocol="/test/1.0.0 sent"} 10')
      expect(text).toContain('libp2p_data_transfer_bytes_total{protocol="/test/1.0.0 received"} 7')
      expect(text).toContain('libp2p_data_transfer_bytes_total{protocol="global sent"} 10')
    }
  })
})
