import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { formatLink, parseLink } from '../../../../src/vault/codec/index.ts'
import { createRepairOnRead } from '../../../../src/vault/read/index.ts'
import type { Link } from '../../../../src/vault/types.ts'
import { quietLogger } from '../../../support/network.ts'

test('repairs own objects with the verify link, once in a while', async () => {
  const own: Link = { power: 'read', slab: randomBytes(32), key: randomBytes(32) }
  const foreign: Link = { power: 'read', slab: randomBytes(32), key: randomBytes(32) }
  const repaired: string[] = []
  let nowMs = 0
  const log = quietLogger()
  const onMissing = createRepairOnRead({
    isOwn: (link) => link === formatLink(own),
    repair: async (link) => {
      repaired.push(link)
      if (repaired.length === 2) throw new Error('too many jobs')
    },
    restMs: 1_000,
    log,
    now: () => nowMs,
  })
  const missing = (link: Link) => onMissing({ link, slab: randomBytes(32), columns: [1] })
  missing(own)
  missing(own)
  missing(foreign)
  expect(repaired).toHaveLength(1)
  expect(parseLink(repaired[0] as string)).toMatchObject({ power: 'verify', slab: new Uint8Array(own.slab) })
  nowMs = 1_001
  missing(own)
  await Promise.resolve()
  expect(repaired).toHaveLength(2)
  expect(log.warnings).toHaveLength(1)
})
