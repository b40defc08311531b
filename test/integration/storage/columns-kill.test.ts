import { expect, test } from 'vitest'
import { killColumnRounds } from '../../support/columns-kill.ts'

test('every acknowledged column, renewal, removal and deletion survives kill -9, twice', async () => {
  expect(await killColumnRounds(2)).toBeGreaterThan(2)
})
