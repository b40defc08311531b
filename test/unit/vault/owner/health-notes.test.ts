import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { AtRest } from '../../../../src/vault/owner/at-rest.ts'
import { HealthNotes } from '../../../../src/vault/owner/health-notes.ts'
import { OwnerState } from '../../../../src/vault/owner/state.ts'
import { temporaryState } from '../../../support/vault-state.ts'

const NONE = { healthy: 0, degraded: 0, critical: 0, lost: 0, unknown: 0 }

it('remembers what was measured, for as long as proofs count', async () => {
  const database = await temporaryState()
  const state = new OwnerState(database, new AtRest(randomBytes(32)), 60_000)
  for (const id of ['a', 'b']) {
    state.insertObject({
      id,
      name: id,
      fileName: id,
      kind: 'file',
      readKey: '',
      fileKey: '',
      manifestSalt: '',
      redundancy: null,
      size: 0,
      sha256: null,
      mime: '',
      files: 1,
      state: 'stored',
      manifest: randomBytes(32),
      createdMs: 1,
    })
  }
  let nowMs = 1_000_000
  const open = () => new HealthNotes(database, 1_000, () => nowMs)
  expect(open().counts()).toEqual({ ...NONE, unknown: 2 })
  open().note('a', 'healthy')
  open().note('a', 'critical')
  open().note('of nobody', 'lost')
  expect(open().counts()).toEqual({ ...NONE, critical: 1, unknown: 1 })

  // Of another start, and until two intervals are over.
  const notes = open()
  nowMs += 2_000
  expect(notes.all().get('a')).toEqual({ state: 'critical', measuredMs: 1_000_000 })
  expect(notes.standing(notes.all().get('a'))).toBe('critical')
  nowMs += 1
  expect(notes.standing(notes.all().get('a'))).toBe('unknown')
  expect(notes.standing(undefined)).toBe('unknown')
  expect(notes.counts()).toEqual({ ...NONE, unknown: 2 })

  notes.forgetGone()
  expect([...notes.all().keys()]).toEqual(['a'])
})
