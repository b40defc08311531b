import { randomBytes } from 'node:crypto'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { PeerId } from '@libp2p/interface'
import { expect, it } from 'vitest'
import { slabKeyOf } from '../../../../protocols/chunk/format/index.ts'
import type { HeldColumn, Receipt, SlabId } from '../../../../protocols/chunk/types.ts'
import { AtRest } from '../../../../src/vault/owner/at-rest.ts'
import { checkReceipts } from '../../../../src/vault/owner/receipts.ts'
import { OwnerState } from '../../../../src/vault/owner/state.ts'
import { temporaryState } from '../../../support/vault-state.ts'

const never = new AbortController().signal
const indexHash = new Uint8Array(32)

async function somePeer(): Promise<PeerId> {
  return peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
}

function storedSlab(state: OwnerState): SlabId {
  const id = new Uint8Array(randomBytes(32))
  state.insertSlab({
    id,
    object: 'one',
    position: 0,
    group: id,
    state: 'stored',
    k: 1,
    n: 2,
    columnBytes: 10,
    indexHash,
    leaseUntilMs: Date.now() + 60_000,
    leaseSequence: 1,
    renewMs: Date.now() + 60_000,
    salt: new Uint8Array(32),
    modes: new Uint8Array(0),
  })
  return id
}

function receiptOf(slab: SlabId, column: number, untilMs: number): Receipt {
  const signed = { payload: new Uint8Array(40), signature: new Uint8Array(64) }
  return { slab, column, indexHash, untilMs, atMs: Date.now(), signed } as unknown as Receipt
}

it('tells once of what a holder promised and owns up to have lost, and of nothing else', async () => {
  const state = new OwnerState(await temporaryState(), new AtRest(randomBytes(32)), 60_000)
  const [keeper, loser, silent] = [await somePeer(), await somePeer(), await somePeer()]
  const slabs = Array.from({ length: 3 }, () => storedSlab(state))
  const untilMs = Date.now() + 60_000
  for (const slab of slabs) {
    state.setReceipt(receiptOf(slab, 0, untilMs), keeper.toString())
    state.setReceipt(receiptOf(slab, 1, untilMs), loser.toString())
    state.setReceipt(receiptOf(slab, 1, untilMs), silent.toString())
  }
  const [lost, kept, expired] = slabs as [SlabId, SlabId, SlabId]
  // A lease that has ended, and a mere claim, bind nobody.
  state.setColumnLease(expired, loser.toString(), Date.now() - 1)
  const claimed = storedSlab(state)
  state.addClaim(claimed, 1, loser.toString())

  const asked: string[] = []
  const evidence: { peer: string; kind: string; detail: unknown }[] = []
  const dependencies = {
    state,
    chunk: {
      peers: () => [keeper, loser, silent],
      async have(peer: PeerId, wanted: readonly SlabId[]): Promise<HeldColumn[]> {
        if (peer.equals(silent)) throw new Error('no answer')
        asked.push(...wanted.map((slab) => `${peer.equals(loser) ? 'loser' : 'keeper'} ${slabKeyOf(slab)}`))
        const has = peer.equals(loser) ? wanted.filter((slab) => slabKeyOf(slab) === slabKeyOf(kept)) : wanted
        const column = peer.equals(loser) ? 1 : 0
        return has.map((slab) => ({ slab, column, indexHash, untilMs }))
      },
    },
    trust: {
      report: (peer: string, kind: string, detail: unknown) => evidence.push({ peer, kind, detail }),
    },
  }
  expect(await checkReceipts(dependencies, never)).toBe(1)
  expect(evidence).toEqual([
    {
      peer: loser.toString(),
      kind: 'receipt-broken',
      detail: { slab: slabKeyOf(lost), column: 1, reason: 'not-held' },
    },
  ])
  expect(asked.filter((each) => each.startsWith('loser'))).toHaveLength(2)
  expect(await checkReceipts(dependencies, never)).toBe(0)
  expect(evidence).toHaveLength(1)

  const gone = new AbortController()
  gone.abort(new Error('the node stops'))
  await expect(checkReceipts(dependencies, gone.signal)).rejects.toThrow('the node stops')
})
