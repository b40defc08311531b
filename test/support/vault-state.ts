import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { openState } from '../../src/storage/state/index.ts'
import type { StateDatabase } from '../../src/storage/state/types.ts'
import { quietLogger } from './network.ts'

/** A state.db of its own, closed and removed when the test has finished. */
export async function temporaryState(): Promise<StateDatabase> {
  const home = await mkdtemp(join(tmpdir(), 'p2pnode-vault-state-'))
  const state = await openState({ path: join(home, 'state.db'), log: quietLogger() })
  onTestFinished(async () => {
    await state.close()
    await rm(home, { recursive: true, force: true })
  })
  return state
}
