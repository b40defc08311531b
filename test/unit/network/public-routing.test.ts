import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Provider } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { CID } from 'multiformats/cid'
import { describe, expect, it } from 'vitest'
import { mergedRouting, type RoutedDht } from '../../../src/network/public-routing.ts'

const cid = CID.parse('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')
const peer = async (): Promise<Provider> => ({
  id: peerIdFromPrivateKey(await generateKeyPair('Ed25519')),
  multiaddrs: [],
  routing: 'test',
})

interface Behaviour {
  routes?: number
  finds?: Provider[]
  fails?: boolean
  hangs?: boolean
}

function dht({
  routes = 1,
  finds = [],
  fails = false,
  hangs = false,
}: Behaviour): RoutedDht & { asked: number } {
  const self = {
    asked: 0,
    routes: () => routes,
    routing: {
      async provide() {
        self.asked += 1
        if (fails) throw new Error('no')
      },
      async cancelReprovide() {},
      async *findProviders() {
        self.asked += 1
        yield* finds
        if (fails) throw new Error('no')
        if (hangs) await new Promise(() => {})
      },
    },
  }
  return self
}

async function found(dhts: RoutedDht[], count: number): Promise<Provider[]> {
  const all: Provider[] = []
  for await (const provider of mergedRouting(dhts).findProviders(cid)) {
    all.push(provider)
    if (all.length === count) break
  }
  return all
}

describe('several DHTs as one', () => {
  it('give each provider once, whoever names it', async () => {
    const [a, b, c] = [await peer(), await peer(), await peer()]
    const all = await found([dht({ finds: [a, b] }), dht({ finds: [b, c] })], 9)
    expect(new Set(all.map(({ id }) => id.toString()))).toEqual(
      new Set([a, b, c].map(({ id }) => id.toString())),
    )
    expect(all).toHaveLength(3)
  })

  it('go on where one fails or never ends, and fail where all do', async () => {
    const a = await peer()
    expect(await found([dht({ fails: true }), dht({ finds: [a] })], 9)).toEqual([a])
    expect(await found([dht({ hangs: true }), dht({ finds: [a] })], 1)).toEqual([a])
    await expect(found([dht({ fails: true }), dht({ fails: true })], 1)).rejects.toThrow('no')
  })

  it('leave out those that know nobody, which would wait without end', async () => {
    const a = await peer()
    const empty = dht({ routes: 0, hangs: true })
    expect(await found([empty, dht({ finds: [a] })], 9)).toEqual([a])
    await mergedRouting([empty, dht({})]).provide(cid)
    expect(empty.asked).toBe(0)
  })

  it('have provided when one of them has', async () => {
    await mergedRouting([dht({ fails: true }), dht({})]).provide(cid)
    await expect(mergedRouting([dht({ fails: true }), dht({ fails: true })]).provide(cid)).rejects.toThrow(
      'no',
    )
  })
})
