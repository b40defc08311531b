import { afterEach, it } from 'vitest'
import { compareAlmostTheSame, type Member, startMember } from '../../support/reconcile.ts'

const nodes: Member[] = []
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()))
})

it('two nodes that compare 100 000 entries, a hundred of which one of them has, have the same for less than 200 KiB', async () => {
  const [a, b] = [await startMember(), await startMember()]
  nodes.push(a, b)
  await a.network.connect(b.address, AbortSignal.timeout(10_000))
  await compareAlmostTheSame(a, b, 100_000)
})
