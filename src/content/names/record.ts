import type { Ed25519PrivateKey } from '@libp2p/interface'
import { createIPNSRecord, marshalIPNSRecord, multihashToIPNSRoutingKey, unmarshalIPNSRecord } from 'ipns'
import { ipnsValidator } from 'ipns/validator'
import { recordExpired, recordInvalid, recordTooLarge } from './errors.ts'
import { DEFAULT_TTL_MS, MAX_RECORD_BYTES, MAX_SEQUENCE, MAX_TTL_MS } from './limits.ts'
import type { KeyName } from './name.ts'
import type { NameRecord } from './types.ts'

const NS_PER_MS = 1_000_000n
/** RFC 3339 with up to nanoseconds, as the specification has it. */
const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/

/** The key of a name in the DHT: `/ipns/` and the bytes of the hash. */
export const routingKey = (name: KeyName): Uint8Array => multihashToIPNSRoutingKey(name.digest as never)

/**
 * Reads a record from somebody else and checks everything that the specification asks for. The library takes an expiry that
 * it cannot read for one that never comes, and a number of any type; both are refused here.
 *
 * @throws ERR_RECORD_INVALID, ERR_RECORD_EXPIRED
 */
export async function readRecord(name: KeyName, bytes: Uint8Array, nowMs = Date.now()): Promise<NameRecord> {
  const record = await readEvenExpired(name, bytes)
  if (record.validUntilMs <= nowMs) throw recordExpired(record.validUntilMs)
  return record
}

async function readEvenExpired(name: KeyName, bytes: Uint8Array): Promise<NameRecord> {
  if (bytes.byteLength > MAX_RECORD_BYTES) throw recordTooLarge(bytes.byteLength, MAX_RECORD_BYTES)
  const record = unmarshalled(bytes)
  try {
    await ipnsValidator(routingKey(name), bytes)
  } catch (cause) {
    // Expiry is the last thing that the library looks at, after the signature.
    if ((cause as Error).name !== 'RecordExpiredError') throw recordInvalid((cause as Error).message, cause)
  }
  return { ...record, bytes }
}

/** The fields of a record whose signature was not checked. @throws ERR_RECORD_INVALID */
export function unmarshalled(bytes: Uint8Array): Omit<NameRecord, 'bytes'> {
  let fields: ReturnType<typeof unmarshalIPNSRecord>
  try {
    fields = unmarshalIPNSRecord(bytes)
  } catch (cause) {
    throw recordInvalid(`it cannot be read (${(cause as Error).message})`, cause)
  }
  const { value, validity, sequence } = fields
  const ttl: unknown = fields.ttl ?? BigInt(DEFAULT_TTL_MS) * NS_PER_MS
  if (typeof sequence !== 'bigint' || sequence < 0n || sequence > MAX_SEQUENCE)
    throw recordInvalid('its number is no uint64')
  if (typeof ttl !== 'bigint' || ttl < 0n) throw recordInvalid('its ttl is no time')
  const validUntilMs = RFC3339.test(validity) ? Date.parse(validity) : Number.NaN
  if (Number.isNaN(validUntilMs)) throw recordInvalid('its expiry is no time in the form of RFC 3339')
  const ttlMs = Math.min(MAX_TTL_MS, Number(ttl / NS_PER_MS))
  return { value, sequence, ttlMs, validUntilMs }
}

export async function signRecord(
  key: Ed25519PrivateKey,
  fields: { value: string; sequence: bigint; lifetimeMs: number; ttlMs: number },
): Promise<Uint8Array> {
  const { value, sequence, lifetimeMs, ttlMs } = fields
  // With the old signature beside the new one: clients of 2022 read it too.
  const record = await createIPNSRecord(key, value, sequence, lifetimeMs, {
    ttlNs: BigInt(ttlMs) * NS_PER_MS,
    v1Compatible: true,
  })
  return marshalIPNSRecord(record)
}

type Ranked = Pick<NameRecord, 'sequence' | 'validUntilMs'>

/** The higher number is the better one; of equal ones the one that lives longer. */
export function isBetter(record: Ranked, other: Ranked): boolean {
  if (record.sequence !== other.sequence) return record.sequence > other.sequence
  return record.validUntilMs > other.validUntilMs
}
