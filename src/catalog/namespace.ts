/** As the DHT knows a kind of record: what is valid, and which is best. */
export interface HeadNamespace {
  name: string
  validate(key: Uint8Array, value: Uint8Array): Promise<void>
  select(key: Uint8Array, values: Uint8Array[]): Promise<number>
}

/**
 * Records below `/catalog/` for the network's DHT: valid where the publisher of the key signed them for this network, the
 * best by number. What checks them is loaded with the first one.
 */
export function catalogNamespace(networkName: string): HeadNamespace {
  return {
    name: 'catalog',
    async validate(key, value) {
      const { decodeHead } = await import('../../protocols/catalog/index.ts')
      decodeHead(key, value, networkName)
    },
    async select(key, values) {
      const { decodeHead, isBetterHead } = await import('../../protocols/catalog/index.ts')
      let best = 0
      for (const [index, value] of values.entries()) {
        const [head, other] = [value, values[best] ?? value].map((bytes) =>
          decodeHead(key, bytes, networkName),
        )
        if (head !== undefined && other !== undefined && isBetterHead(head, other)) best = index
      }
      return best
    },
  }
}
