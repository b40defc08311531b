import { expect, test } from 'vitest'
import { killRounds } from '../../support/storage-kill.ts'

test('every acknowledged block survives kill -9, fifty times', { timeout: 600_000 }, async () => {
  expect(await killRounds(50)).toBeGreaterThan(50)
})
