import type { CID } from 'multiformats/cid'
import { expect, it } from 'vitest'
import { Touches } from '../../../src/content/fetch/touches.ts'
import { testBlock } from '../../support/storage-blocks.ts'

function recorder(fails = false) {
  const calls: CID[][] = []
  const touches = new Touches({
    touch: async (cids) => {
      calls.push(cids)
      if (fails) throw new Error('the writer is gone')
    },
  })
  return { calls, touches }
}

const cids = (count: number): CID[] => Array.from({ length: count }, (_, at) => testBlock(`t ${at}`, 40).cid)

it('what is asked for in one turn is touched together, what comes later anew', async () => {
  const { calls, touches } = recorder()
  const first = cids(64)
  await Promise.all(first.map((cid) => touches.touch(cid)))
  expect(calls).toEqual([first])
  await touches.touch(first[0]!)
  expect(calls.at(-1)).toEqual([first[0]])
})

it('a batch has a bound, and loses nothing there', async () => {
  const { calls, touches } = recorder()
  const many = cids(600)
  await Promise.all(many.map((cid) => touches.touch(cid)))
  expect(calls.map((batch) => batch.length)).toEqual([256, 256, 88])
  expect(calls.flat()).toEqual(many)
})

it('everybody who waits learns that it failed', async () => {
  const { touches } = recorder(true)
  const results = await Promise.allSettled(cids(3).map((cid) => touches.touch(cid)))
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
})
