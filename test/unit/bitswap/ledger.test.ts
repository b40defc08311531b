import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Ledger, type Want, wantKey } from '../../../protocols/bitswap/ledger.ts'
import { MAX_REFUSALS_PER_PEER, MAX_WAITING_PER_PEER } from '../../../protocols/bitswap/limits.ts'
import { wantOf } from '../../support/bitswap.ts'
import { rawCid } from '../../support/content-protocol.ts'

const cidOf = (number: number) => rawCid(Uint8Array.of(number))

describe('what a peer wants', () => {
  it('is in one heap at a time, and gone once it is cancelled, sent or forgotten, whatever happens', () => {
    const step = fc.record({
      does: fc.constantFrom('want', 'cancel', 'look up', 'send', 'fail', 'arrive') as fc.Arbitrary<
        'want' | 'cancel' | 'look up' | 'send' | 'fail' | 'arrive'
      >,
      block: fc.nat(5),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const forgotten: Want[] = []
        const ledger = new Ledger((want) => forgotten.push(want))
        const wanted = new Set<string>()
        const held = new Set<string>()
        for (const { does, block } of steps) {
          const cid = cidOf(block)
          const key = wantKey(cid)
          if (does === 'want') {
            if (!ledger.change(key, wantOf(cid))) ledger.add(key, wantOf(cid))
            wanted.add(key)
          } else if (does === 'cancel') {
            ledger.cancel(key)
            wanted.delete(key)
          } else if (does === 'arrive') {
            held.add(key)
            ledger.arrived(key)
          } else if (does === 'look up') {
            for (const want of ledger.takeFresh(3)) {
              if (held.has(want.key)) ledger.ready(want)
              else ledger.wait(want)
            }
          } else {
            const want = ledger.takeReady()
            if (want === undefined) continue
            expect(held).toContain(want.key)
            if (does === 'fail') ledger.putBack([want])
            else wanted.delete(want.key)
          }
          expect(ledger.size).toBe(wanted.size)
        }
        ledger.clear()
        expect(ledger.size).toBe(0)
        expect(ledger.takeFresh(9)).toEqual([])
        expect(ledger.takeReady()).toBeUndefined()
      }),
    )
  })

  it('is remembered up to a bound where it is not here, and whoever keeps count hears of each that goes', () => {
    const forgotten: Want[] = []
    const ledger = new Ledger((want) => forgotten.push(want))
    const keys = Array.from({ length: MAX_WAITING_PER_PEER + 3 }, (_, number) => {
      const cid = rawCid(Buffer.from(String(number)))
      ledger.add(wantKey(cid), wantOf(cid))
      return wantKey(cid)
    })
    for (const want of ledger.takeFresh(Infinity)) ledger.wait(want)
    expect(ledger.size).toBe(MAX_WAITING_PER_PEER)
    expect(forgotten.map(({ key }) => key)).toEqual(keys.slice(0, 3))
    ledger.clear()
    expect(forgotten).toHaveLength(keys.length)
  })

  it('is sent in its order, by priority among those looked up together; what failed goes first', () => {
    const ledger = new Ledger(() => {})
    for (const [block, priority] of [1, 3, 2].entries())
      ledger.add(wantKey(cidOf(block)), wantOf(cidOf(block), { priority }))
    for (const want of ledger.takeFresh(3)) ledger.ready(want)
    const first = ledger.takeReady()!
    expect(first.key).toBe(wantKey(cidOf(1)))
    ledger.putBack([first])
    const order = [ledger.takeReady(), ledger.takeReady(), ledger.takeReady()].map((want) => want?.key)
    expect(order).toEqual([1, 2, 0].map((block) => wantKey(cidOf(block))))
  })

  it('asks for more when it is asked again, never for less', () => {
    const ledger = new Ledger(() => {})
    const cid = cidOf(1)
    ledger.add(wantKey(cid), { ...wantOf(cid, { wantsBlock: false }), sendDontHave: false })
    expect(ledger.change(wantKey(cid), wantOf(cid))).toBe(true)
    expect(ledger.change(wantKey(cid), { ...wantOf(cid, { wantsBlock: false }), sendDontHave: false })).toBe(
      true,
    )
    expect(ledger.takeFresh(1)).toMatchObject([{ wantsBlock: true, sendDontHave: true }])
  })

  it('is refused in bounded number', () => {
    const ledger = new Ledger(() => {})
    for (let number = 0; number < MAX_REFUSALS_PER_PEER + 9; number += 1) {
      const cid = rawCid(Buffer.from(String(number)))
      ledger.refuse(wantKey(cid), cid)
    }
    expect(ledger.takeRefused(Infinity)).toHaveLength(MAX_REFUSALS_PER_PEER)
    expect(ledger.takeRefused(Infinity)).toEqual([])
  })
})
