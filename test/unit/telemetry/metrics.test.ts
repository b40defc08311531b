import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { WINDOW_MS } from '../../../src/telemetry/event-loop.ts'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import type { Metrics } from '../../../src/telemetry/metrics.ts'

const PATIENT = { timeout: 10_000 }

function open(options?: Parameters<typeof createMetrics>[0]): Metrics {
  const metrics = createMetrics(options)
  onTestFinished(() => metrics.close())
  return metrics
}

/** The value of a sample in the Prometheus text. */
async function sample(metrics: Metrics, name: string): Promise<number | undefined> {
  const line = (await metrics.text()).split('\n').find((text) => text.startsWith(`${name} `))
  return line === undefined ? undefined : Number(line.slice(name.length + 1))
}

function block(durationMs: number): void {
  const end = performance.now() + durationMs
  while (performance.now() < end);
}

describe('metrics', () => {
  it('are apart for every node of a process', async () => {
    const [a, b] = [open(), open()]
    a.counter({ name: 'p2pnode_things_total', help: 'Things.' }).inc(3)
    b.counter({ name: 'p2pnode_things_total', help: 'Things.' }).inc(4)
    expect(await sample(a, 'p2pnode_things_total')).toBe(3)
    expect(await sample(b, 'p2pnode_things_total')).toBe(4)
    a.close()
    expect(await a.text()).not.toContain('p2pnode_things_total')
    expect(await sample(b, 'p2pnode_things_total')).toBe(4)
  })

  it('have labels, gauges, histograms and figures that are asked when read', async () => {
    const metrics = open()
    metrics.counter({ name: 'a_total', help: 'A.', labels: ['way'] }).inc({ way: 'in' }, 2)
    metrics.gauge({ name: 'b', help: 'B.' }).set(7)
    metrics.histogram({ name: 'c_seconds', help: 'C.', buckets: [1, 2] }).observe(1.5)
    let value = 1
    metrics.observedGauge({ name: 'd', help: 'D.' }, () => value)
    metrics.observedCounter({ name: 'e_total', help: 'E.' }, () => value)
    expect(await sample(metrics, 'a_total{way="in"}')).toBe(2)
    expect(await sample(metrics, 'b')).toBe(7)
    expect(await sample(metrics, 'c_seconds_bucket{le="2"}')).toBe(1)
    for (const [next, total] of [
      [1, 1],
      [5, 5],
      [2, 5],
      [6, 6],
    ] as const) {
      value = next
      const text = await metrics.text()
      expect(text).toContain(`\nd ${next}\n`)
      expect(text).toContain(`\ne_total ${total}\n`)
    }
    expect(metrics.contentType).toMatch(/^text\/plain/)
  })

  it('refuse a name twice in one registry', () => {
    const metrics = open()
    metrics.gauge({ name: 'twice', help: 'T.' })
    expect(() => metrics.gauge({ name: 'twice', help: 'T.' })).toThrow(/twice/)
  })

  it('tell memory and processor time of the process', async () => {
    const metrics = open()
    const before = await sample(metrics, 'process_cpu_user_seconds_total')
    block(60)
    expect(await sample(metrics, 'process_cpu_user_seconds_total')).toBeGreaterThan(before as number)
    expect(await sample(metrics, 'process_resident_memory_bytes')).toBeGreaterThan(10 * 1024 ** 2)
    expect(await sample(metrics, 'nodejs_heap_size_used_bytes')).toBeGreaterThan(1024 ** 2)
    const startSeconds = (await sample(metrics, 'process_start_time_seconds')) as number
    expect(Math.abs(startSeconds - (Date.now() / 1000 - process.uptime()))).toBeLessThan(5)
  })
})

describe('the delay of the event loop', () => {
  it('shows a loop that was blocked', async () => {
    const metrics = open()
    await vi.waitFor(() => expect(metrics.eventLoopDelay().p50Ms).toBeGreaterThan(0), PATIENT)
    block(200)
    await vi.waitFor(() => expect(metrics.eventLoopDelay().maxMs).toBeGreaterThan(150), PATIENT)
    const { p50Ms, p99Ms, maxMs } = metrics.eventLoopDelay()
    expect(p50Ms).toBeLessThanOrEqual(p99Ms)
    expect(p99Ms).toBeLessThanOrEqual(maxMs)
    expect(metrics.eventLoopDelayP99Ms()).toBe(metrics.eventLoopDelay().p99Ms)
    expect(await sample(metrics, 'p2pnode_event_loop_delay_max_seconds')).toBeGreaterThan(0.15)
  })

  it('forgets after a window, and counts its longest stall', async () => {
    const metrics = open()
    await vi.waitFor(() => expect(metrics.eventLoopDelay().maxMs).toBeGreaterThan(0), PATIENT)
    block(300)
    const stalls = () => sample(metrics, 'p2pnode_event_loop_stall_seconds_bucket{le="0.25"}')
    const windows = () => sample(metrics, 'p2pnode_event_loop_stall_seconds_count')
    await vi.waitFor(async () => expect(await windows()).toBe(1), { timeout: 2 * WINDOW_MS })
    expect(await stalls()).toBe(0)
    expect(metrics.eventLoopDelay().maxMs).toBeGreaterThan(200)
    await vi.waitFor(() => expect(metrics.eventLoopDelay().maxMs).toBeLessThan(200), {
      timeout: 4 * WINDOW_MS,
    })
  })

  it('is not watched where nobody asked, and never keeps the process alive', async () => {
    const metrics = open({ watchEventLoop: false })
    expect(metrics.eventLoopDelay()).toEqual({ p50Ms: 0, p99Ms: 0, maxMs: 0 })
    expect(await metrics.text()).not.toContain('event_loop')
    const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    open()
    expect(process.getActiveResourcesInfo().filter((name) => name === 'Timeout')).toHaveLength(before)
  })
})
