import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { countEdges, distancesFrom, graphOf, hopsToNearest } from '../../../src/simulation/graph.ts'

const chain = graphOf(
  new Map([
    ['a', ['b']],
    ['b', []],
    ['c', ['b', 'stranger']],
    ['d', ['d']],
  ]),
)

describe('the graph of a simulated network', () => {
  it('takes a connection that one end reports, and leaves out strangers and a node itself', () => {
    expect([...(chain.get('b') ?? [])].sort()).toEqual(['a', 'c'])
    expect([...(chain.get('d') ?? [])]).toEqual([])
    expect(countEdges(chain)).toBe(2)
  })

  it('counts steps, to the nearest of several, and none where there is no way', () => {
    expect(Object.fromEntries(distancesFrom(chain, 'a'))).toEqual({ a: 0, b: 1, c: 2 })
    expect(hopsToNearest(chain, 'a', ['c', 'b'])).toBe(1)
    expect(hopsToNearest(chain, 'a', ['d'])).toBeNull()
    expect(hopsToNearest(chain, 'a', [])).toBeNull()
    expect(distancesFrom(chain, 'stranger').size).toBe(0)
  })

  it('never has neighbours whose distances differ by more than one', () => {
    const edges = fc.array(fc.tuple(fc.nat(12), fc.nat(12)), { maxLength: 40 })
    fc.assert(
      fc.property(edges, (pairs) => {
        const peers = new Map(Array.from({ length: 13 }, (_, node) => [String(node), [] as string[]]))
        for (const [from, to] of pairs) peers.get(String(from))?.push(String(to))
        const graph = graphOf(peers)
        const distances = distancesFrom(graph, '0')
        for (const [node, neighbours] of graph) {
          for (const neighbour of neighbours) {
            const [near, far] = [distances.get(node), distances.get(neighbour)]
            expect(near === undefined).toBe(far === undefined)
            if (near !== undefined && far !== undefined) expect(Math.abs(near - far)).toBeLessThanOrEqual(1)
          }
        }
      }),
    )
  })
})
