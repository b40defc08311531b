/** Signatures of the Standard Webhooks specification 1.0 (github.com/standard-webhooks/standard-webhooks), symmetric form. */
import { createHmac, randomBytes } from 'node:crypto'
import { hookSecretInvalid } from './errors.ts'
import { MAX_SECRET_BYTES, MIN_SECRET_BYTES, OWN_SECRET_BYTES } from './limits.ts'

const PREFIX = 'whsec_'

export function newSecret(): Uint8Array {
  return randomBytes(OWN_SECRET_BYTES)
}

export function secretText(secret: Uint8Array): string {
  return PREFIX + Buffer.from(secret).toString('base64')
}

/** @throws ERR_HOOK_SECRET */
export function parseSecret(text: string): Uint8Array {
  const encoded = text.startsWith(PREFIX) ? text.slice(PREFIX.length) : ''
  const bytes = Buffer.from(encoded, 'base64')
  // Node itself takes anything for base64.
  const isWhole = bytes.toString('base64') === encoded
  if (!isWhole || bytes.length < MIN_SECRET_BYTES || bytes.length > MAX_SECRET_BYTES)
    throw hookSecretInvalid()
  return bytes
}

/** The three headers that make a body of this id and moment provable. */
export function signedHeaders(
  secret: Uint8Array,
  { id, body, nowMs }: { id: string; body: string; nowMs: number },
): { 'webhook-id': string; 'webhook-timestamp': string; 'webhook-signature': string } {
  const timestamp = String(Math.floor(nowMs / 1_000))
  const mac = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${mac}` }
}
