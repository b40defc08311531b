import { defineConfig } from 'vitest/config'

// What a person sees in a real browser. Needs Debian's Chromium, which `.ci/run` installs; where there is none, each test says so.
export default defineConfig({
  test: {
    include: ['test/browser/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 240_000,
    hookTimeout: 60_000,
    allowOnly: false,
  },
})
