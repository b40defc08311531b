import { multiaddr } from '@multiformats/multiaddr'
import { metaInvalid, originsInvalid, pinCidInvalid } from './errors.ts'
import { MAX_META_BYTES, MAX_META_KEYS, MAX_ORIGIN_CHARACTERS, MAX_ORIGINS } from './limits.ts'
import { normalized } from './store.ts'
import type { NewPin, PinRequest } from './types.ts'

/** A request as it may be kept. @throws ERR_PIN_CID, ERR_PIN_ORIGINS, ERR_PIN_META */
export function checkedPin(pin: NewPin): Pick<PinRequest, 'cid' | 'name' | 'origins' | 'meta'> {
  const { cid, name = null, meta = null } = pin
  const origins = pin.origins ?? []
  checkCid(cid)
  checkOrigins(origins)
  if (meta !== null) checkMeta(meta)
  return { cid, name, origins, meta }
}

/** @throws ERR_PIN_CID */
export function checkCid(cid: string): void {
  try {
    normalized(cid)
  } catch {
    throw pinCidInvalid(cid)
  }
}

/** @throws ERR_PIN_META */
export function checkMeta(meta: Readonly<Record<string, unknown>>): asserts meta is Record<string, string> {
  const entries = Object.entries(meta)
  if (entries.length > MAX_META_KEYS) throw metaInvalid(`at most ${MAX_META_KEYS} keys`)
  if (entries.some(([, value]) => typeof value !== 'string')) throw metaInvalid('every value must be a text')
  if (Buffer.byteLength(JSON.stringify(meta)) > MAX_META_BYTES)
    throw metaInvalid(`at most ${MAX_META_BYTES} bytes as JSON`)
}

function checkOrigins(origins: readonly string[]): void {
  if (origins.length > MAX_ORIGINS) throw originsInvalid(`at most ${MAX_ORIGINS}`)
  for (const origin of origins) {
    if (!isPeerAddress(origin))
      throw originsInvalid(`"${origin.slice(0, 120)}" is no multiaddr with /p2p/PEER`)
  }
}

function isPeerAddress(text: string): boolean {
  try {
    return (
      text.length <= MAX_ORIGIN_CHARACTERS &&
      multiaddr(text)
        .getComponents()
        .some(({ name }) => name === 'p2p')
    )
  } catch {
    return false
  }
}
