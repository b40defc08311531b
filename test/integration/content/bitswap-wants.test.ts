import { randomBytes } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ContentNode, startContentNode } from '../../support/content-node.ts'

let holder: ContentNode
let asker: ContentNode
beforeEach(async () => {
  holder = await startContentNode()
  asker = await startContentNode({ ipfs: true })
  await asker.connect(holder)
})
afterEach(async () => {
  await asker.stop()
  await holder.stop()
})

const fetch = (cid: CID, signal = AbortSignal.timeout(20_000)): Promise<Uint8Array> =>
  asker.helia.fetchBlock(cid, { signal })

describe('a block by Bitswap that is not stored', () => {
  it('is had again and again, by one after the other and by several at once', async () => {
    const bytes = randomBytes(1_000)
    const cid = CID.parse((await holder.add(bytes)).cid)
    for (let turn = 0; turn < 3; turn += 1) {
      expect(Buffer.from(await fetch(cid)).equals(bytes)).toBe(true)
      const several = await Promise.all([fetch(cid), fetch(cid), fetch(cid)])
      expect(several.every((one) => Buffer.from(one).equals(bytes))).toBe(true)
    }
  })

  it('is had by others where one gives up', async () => {
    const bytes = randomBytes(900)
    const { cid: text } = await asker.add(bytes, { pin: null })
    const cid = CID.parse(text)
    const cancel = new AbortController()
    const first = fetch(cid, cancel.signal)
    const second = fetch(cid)
    cancel.abort(new Error('enough'))
    await expect(first).rejects.toThrow('enough')
    await holder.add(bytes)
    expect(Buffer.from(await second).equals(bytes)).toBe(true)
  })
})
