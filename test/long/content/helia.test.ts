import { afterAll, beforeAll, describe, it } from 'vitest'
import { type ContentNode, startContentNode } from '../../support/content-node.ts'
import { exchangeWithHelia } from '../../support/plain-helia.ts'

describe('a plain Helia node with default Bitswap', () => {
  let node: ContentNode
  beforeAll(async () => {
    node = await startContentNode({ ipfs: true })
  })
  afterAll(() => node.stop())

  it('exchanges 1 GiB and a directory of 10 000 files with a p2pnode, both ways', async () => {
    await exchangeWithHelia(node, { fileBytes: 2 ** 30, files: 10_000, timeoutMs: 1_700_000 })
  })
})
