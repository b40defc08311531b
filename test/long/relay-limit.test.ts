import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { collect } from '../support/content-node.ts'
import { RelayHouse } from '../support/relay-house.ts'

const MIB = 2 ** 20
const SOON = (): AbortSignal => AbortSignal.timeout(20_000)

const house = new RelayHouse()
afterEach(() => house.close())

describe('a node behind a relay', () => {
  it('serves a file larger than what the relay carries over one connection', async () => {
    const { relay, hidden } = await house.behindRelay({ dataLimitBytes: 4 * MIB })
    const bytes = randomBytes(6 * MIB)
    const { cid } = await hidden.add(bytes)
    // Found in the DHT, dialled through the relay, and again when the relay cuts.
    const other = await house.start({ listen: [] })
    await other.connect(relay)
    const { sources } = await other.run<{ sources: { peer: string }[] }>('get', { address: cid })
    expect(sources.map(({ peer }) => peer)).toEqual([hidden.libp2p.peerId.toString()])
    expect(bytes.equals(await collect(other.content.cat(cid, { signal: SOON() })))).toBe(true)
  })
})
