import { expect, test } from 'vitest'
import { killRounds } from '../../support/storage-kill.ts'

test('every acknowledged block survives kill -9, twice', async () => {
  expect(await killRounds(2)).toBeGreaterThan(2)
})
