import { expect, test } from 'vitest'
import { killRounds } from '../../support/storage-kill.ts'

test('every acknowledged block survives kill -9, five times', async () => {
  expect(await killRounds(5)).toBeGreaterThan(5)
})
