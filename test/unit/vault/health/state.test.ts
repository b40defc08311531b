import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { slabHealth, stateOf } from '../../../../src/vault/health/state.ts'

const proofs = (columns: number[], provenMs = 1_000) =>
  columns.map((column) => ({ column, peer: `peer${column}`, provenMs }))
const rs = (columns: number[]) => slabHealth({ id: 'aa', k: 4, n: 8, proofs: proofs(columns) }, 500)

describe('the state of a slab', () => {
  test('by how many columns are live', () => {
    expect(stateOf([rs([0, 1, 2, 3, 4, 5, 6, 7])])).toBe('healthy')
    expect(stateOf([rs([0, 1, 2, 3, 4, 5, 6])])).toBe('degraded')
    expect(stateOf([rs([0, 1, 2, 3, 4, 5])])).toBe('critical')
    expect(stateOf([rs([0, 1, 2, 3])])).toBe('critical')
    expect(stateOf([rs([0, 1, 2])])).toBe('lost')
  })

  test('is the worst of all slabs', () => {
    expect(stateOf([rs([0, 1, 2, 3, 4, 5, 6, 7]), rs([0, 1, 2]), rs([0, 1, 2, 3])])).toBe('lost')
    expect(stateOf([])).toBe('healthy')
  })

  test('old proofs tell when, and count for nothing', () => {
    const health = slabHealth({ id: 'aa', k: 1, n: 2, proofs: proofs([0], 499) }, 500)
    expect(health).toMatchObject({ live: 0, margin: -1, lastAudit: new Date(499).toISOString() })
    expect(health.columns).toEqual([
      { column: 0, peer: 'peer0', live: false },
      { column: 1, peer: null, live: false },
    ])
  })

  test('a column that two hold counts once, by the newer proof', () => {
    const both = [
      { column: 0, peer: 'old', provenMs: 600 },
      { column: 0, peer: 'new', provenMs: 700 },
    ]
    const health = slabHealth({ id: 'aa', k: 1, n: 2, proofs: both }, 500)
    expect(health).toMatchObject({ live: 1, margin: 0 })
    expect(health.columns[0]).toEqual({ column: 0, peer: 'new', live: true })
  })

  test('live columns and margin always fit each other', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(
          fc.record({
            column: fc.nat(9),
            peer: fc.constantFrom('a', 'b', 'c'),
            provenMs: fc.nat(1_000),
          }),
        ),
        (k, proofs) => {
          const { live, margin, columns, lastAudit } = slabHealth({ id: 'aa', k, n: 8, proofs }, 500)
          expect(live).toBe(columns.filter((column) => column.live).length)
          expect(margin).toBe(live - k)
          expect(lastAudit === null).toBe(!proofs.some(({ column }) => column < 8))
        },
      ),
    )
  })
})
