import { expect, test } from 'vitest'
import { killColumnRounds } from '../../support/columns-kill.ts'

test('every acknowledged column, renewal, removal and deletion survives kill -9, fifty times', {
  timeout: 600_000,
}, async () => {
  expect(await killColumnRounds(50)).toBeGreaterThan(50)
})
