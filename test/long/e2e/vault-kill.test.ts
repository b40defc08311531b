import { afterAll, describe, it } from 'vitest'
import { Lab } from '../../support/daemon.ts'
import { vaultKillRounds } from '../../support/vault-kill-rounds.ts'

describe('kill -9 while a private file is put, sixty times', () => {
  const lab = new Lab()
  afterAll(() => lab.close())

  it('of its owner and of holders in turn', async () => {
    await vaultKillRounds(lab, { rounds: 60, fileBytes: 24 * 2 ** 20 })
  })
})
