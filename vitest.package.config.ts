import { defineConfig } from 'vitest/config'

// What `npm pack` makes, installed into an empty folder: needs the registry for the dependencies that are not
// bundled, so it is no part of `npm cit`.
export default defineConfig({
  test: {
    include: ['test/package/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 240_000,
    hookTimeout: 240_000,
    allowOnly: false,
  },
})
