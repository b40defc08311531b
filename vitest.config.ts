import { defineConfig } from 'vitest/config'

// Integration tests start real nodes on loopback: two at a time fit two cores, and each file gets a process of
// its own, so that a native handle leaked by one test shows there and nowhere else.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/long/**', 'test/browser/**', 'test/package/**'],
    setupFiles: ['test/support/seed.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ['default'],
    allowOnly: false,
  },
})
