import { afterAll, describe, it } from 'vitest'
import { Lab } from '../support/daemon.ts'
import { vaultKillRounds } from '../support/vault-kill-rounds.ts'

describe('kill -9 while a private file is put', () => {
  const lab = new Lab()
  afterAll(() => lab.close())

  it('of its owner and of holders: the put comes through, and what was acknowledged reads', async () => {
    await vaultKillRounds(lab, { rounds: 4, fileBytes: 12 * 2 ** 20 })
  }, 400_000)
})
