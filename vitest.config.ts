import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// Each process and thread of a test loads the same libraries: what one has compiled, the next reads.
process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(new URL('node_modules/.cache/compiled', import.meta.url))

// Two at a time fit two cores.
const shared = {
  setupFiles: ['test/support/seed.ts'],
  pool: 'forks' as const,
  maxWorkers: 2,
  testTimeout: 60_000,
  hookTimeout: 60_000,
  allowOnly: false,
}

/** They start no node, and leave nothing behind in the process. */
const LIGHT = [
  'test/unit/**/*.test.ts',
  'test/integration/api/**/*.test.ts',
  'test/integration/cli/**/*.test.ts',
]
/** They measure turns of the event loop, which a heap that other tests have filled would lengthen. */
const MEASURED = [
  'test/unit/storage/blocks/responsive.test.ts',
  'test/unit/storage/columns/responsive.test.ts',
  'test/unit/storage/columns/rot.test.ts',
  'test/unit/storage/maintenance/collect.test.ts',
  'test/unit/telemetry/metrics.test.ts',
]

// Light tests share processes: to load the libraries anew for each file takes longer than its tests. Of those that start real
// nodes on loopback each file gets a process of its own, so that a native handle leaked by one shows there and nowhere else.
export default defineConfig({
  test: {
    reporters: ['default'],
    projects: [
      { test: { ...shared, name: 'light', include: LIGHT, exclude: MEASURED, isolate: false } },
      {
        test: {
          ...shared,
          name: 'nodes',
          include: ['test/integration/**/*.test.ts', 'test/e2e/**/*.test.ts', ...MEASURED],
          exclude: LIGHT.slice(1),
        },
      },
    ],
  },
})
