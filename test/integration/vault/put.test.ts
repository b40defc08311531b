import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  collect,
  startHolders,
  startVaultNode,
  stopVaultNodes,
  type VaultNode,
} from '../../support/vault-node.ts'

const MIB = 1024 * 1024
const signal = () => AbortSignal.timeout(60_000)

describe('put with eight holders', () => {
  let owner: VaultNode
  let holders: VaultNode[]
  beforeAll(async () => {
    owner = await startVaultNode({ offerBytes: 0 })
    holders = await startHolders(8, owner)
  }, 120_000)
  afterAll(() => stopVaultNodes([owner, ...holders]))

  for (const size of [0, 1, 1000, MIB - 1, MIB, MIB + 1, 5 * MIB + 7]) {
    it(`stores and reads ${size} bytes`, async () => {
      const bytes = randomBytes(size)
      const result = await owner.put(bytes, { name: `file-${size}` })
      expect(result).toMatchObject({
        size,
        sha256: createHash('sha256').update(bytes).digest('hex'),
        redundancy: 'rs:4/8',
        holders: 8,
        missing: 0,
        files: 1,
      })
      const read = await collect(owner.service.cat(result.link, { signal: signal() }))
      expect(read.equals(bytes)).toBe(true)
    }, 60_000)
  }
})
