import { afterAll, beforeAll, describe, it } from 'vitest'
import { type ContentNode, startContentNode } from '../../support/content-node.ts'
import { exchangeWithHelia } from '../../support/plain-helia.ts'

describe('a plain Helia node with default Bitswap', () => {
  let node: ContentNode
  beforeAll(async () => {
    node = await startContentNode({ ipfs: true })
  })
  afterAll(() => node.stop())

  it('gives a file and a directory to a p2pnode, and gets others from it', async () => {
    await exchangeWithHelia(node, { fileBytes: 16 * 2 ** 20, files: 300, timeoutMs: 55_000 })
  })
})
