import { afterAll, describe, it } from 'vitest'
import { Lab } from '../../support/daemon.ts'
import { killRounds } from '../../support/kill-rounds.ts'

describe('kill -9, fifty times', () => {
  const lab = new Lab()
  afterAll(() => lab.close())

  it('of either daemon at random moments of add and get', async () => {
    await killRounds(lab, { rounds: 50, fileBytes: 32 * 2 ** 20 })
  })
})
