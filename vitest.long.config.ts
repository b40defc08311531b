import { defineConfig } from 'vitest/config'

// What is too slow for every run: many kills, large collections, large files. One file at a time, so that what they
// measure and the disk they fill is theirs alone.
export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 1_800_000,
    hookTimeout: 120_000,
    allowOnly: false,
  },
})
