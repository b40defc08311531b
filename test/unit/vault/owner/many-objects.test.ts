import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { AtRest } from '../../../../src/vault/owner/at-rest.ts'
import { readDocument, writeDocument } from '../../../../src/vault/owner/document.ts'
import { MAX_LISTED_OBJECTS } from '../../../../src/vault/owner/limits.ts'
import { OwnerState } from '../../../../src/vault/owner/state.ts'
import { temporaryState } from '../../../support/vault-state.ts'

it('keeps, exports and audits more objects than a list shows', async () => {
  const secret = randomBytes(32)
  const database = await temporaryState()
  const state = new OwnerState(database, new AtRest(secret), 60_000)
  const count = MAX_LISTED_OBJECTS + 3
  database.writeRelaxed(() => {
    for (let number = 0; number < count; number += 1) {
      state.insertObject({
        id: `object-${number}`,
        name: `name ${number}`,
        fileName: 'file',
        kind: 'file',
        readKey: '',
        fileKey: '',
        manifestSalt: '',
        redundancy: { k: 1, n: 2 },
        size: 0,
        sha256: null,
        mime: '',
        files: 1,
        state: 'stored',
        manifest: randomBytes(32),
        // Many of one moment.
        createdMs: Math.floor(number / 700),
      })
    }
  })
  expect(new Set([...state.allObjects()].map(({ id }) => id)).size).toBe(count)
  const { objects } = await readDocument(await writeDocument(state, secret))
  expect(objects).toHaveLength(count)
})
