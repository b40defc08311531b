import * as Digest from 'multiformats/hashes/digest'
import { nameInvalid } from './errors.ts'
import { nameOfKey } from './name.ts'
import type { NameRecord } from './types.ts'

const PREFIX = '/ipns/'

/**
 * Records below `/ipns/` for a DHT: valid where the key of the name signed them and they have not expired, the best by
 * number. What checks them is loaded with the first one: most nodes see none for long.
 */
export const ipnsNamespace = {
  name: 'ipns',

  async validate(key: Uint8Array, value: Uint8Array): Promise<void> {
    const { readRecord } = await import('./record.ts')
    await readRecord(nameOfRoutingKey(key), value)
  },

  async select(_key: Uint8Array, values: Uint8Array[]): Promise<number> {
    const { isBetter, unmarshalled } = await import('./record.ts')
    let best: { index: number; record: Omit<NameRecord, 'bytes'> } | undefined
    for (const [index, bytes] of values.entries()) {
      const record = unmarshalled(bytes)
      if (best === undefined || isBetter(record, best.record)) best = { index, record }
    }
    return best?.index ?? 0
  },
}

function nameOfRoutingKey(key: Uint8Array): ReturnType<typeof nameOfKey> {
  if (Buffer.from(key.subarray(0, PREFIX.length)).toString('latin1') !== PREFIX)
    throw nameInvalid('?', 'the key does not begin with /ipns/')
  return nameOfKey(Digest.decode(key.subarray(PREFIX.length)))
}
