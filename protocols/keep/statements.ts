import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { PeerId, PrivateKey } from '@libp2p/interface'
import { SIGNATURE_BYTES } from '../shared/ed25519.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_PAYLOAD_BYTES } from './limits.ts'
import { AskSchema, PromiseSchema, ReleaseSchema } from './messages_pb.ts'
import { decodeCid, decodePeer } from '../shared/parse-ids.ts'
import { parsed, wholeNumber } from '../shared/parsed.ts'
import type { Ask, Promised, Release, SignedBytes } from './types.ts'

/** What a statement is; part of what is signed, so that none can be passed off as another. */
type StatementKind = 'ask' | 'promise' | 'release'

const DOMAIN = 'p2pnode/keep/1/'

/** `domain ‖ kind ‖ 0x00 ‖ network name ‖ 0x00 ‖ payload`: a statement holds in one network only. */
function signedInput(kind: StatementKind, networkName: string, payload: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${DOMAIN}${kind}\0${networkName}\0`), payload])
}

/** Signs and reads statements of one network. */
export class Statements {
  readonly #networkName: string

  constructor(networkName: string) {
    this.#networkName = networkName
  }

  async signAsk(key: PrivateKey, ask: Ask): Promise<SignedBytes> {
    const payload = toBinary(
      AskSchema,
      create(AskSchema, {
        cid: ask.cid.bytes,
        sizeBytes: BigInt(ask.sizeBytes),
        untilMs: BigInt(ask.untilMs),
        atMs: BigInt(ask.atMs),
        ...parties(ask),
      }),
    )
    return this.#sign(key, 'ask', payload)
  }

  async signPromise(key: PrivateKey, promise: Omit<Promised, 'signed'>): Promise<SignedBytes> {
    const payload = toBinary(
      PromiseSchema,
      create(PromiseSchema, {
        cid: promise.cid.bytes,
        untilMs: BigInt(promise.untilMs),
        atMs: BigInt(promise.atMs),
        ...parties(promise),
      }),
    )
    return this.#sign(key, 'promise', payload)
  }

  async signRelease(key: PrivateKey, release: Release): Promise<SignedBytes> {
    const payload = toBinary(
      ReleaseSchema,
      create(ReleaseSchema, { cid: release.cid.bytes, atMs: BigInt(release.atMs), ...parties(release) }),
    )
    return this.#sign(key, 'release', payload)
  }

  /** @throws ProtocolViolationError unless well formed and signed by its asker */
  async ask(signed: SignedBytes): Promise<Ask> {
    const message = parsed(() => fromBinary(AskSchema, sized(signed), { readUnknownFields: false }))
    const ask: Ask = {
      cid: decodeCid(message.cid),
      sizeBytes: wholeNumber(message.sizeBytes),
      untilMs: wholeNumber(message.untilMs),
      atMs: wholeNumber(message.atMs),
      asker: decodePeer(message.asker),
      holder: decodePeer(message.holder),
    }
    await this.#verify(ask.asker, 'ask', signed)
    return ask
  }

  /** @throws ProtocolViolationError unless well formed and signed by its holder */
  async promise(signed: SignedBytes): Promise<Promised> {
    const message = parsed(() => fromBinary(PromiseSchema, sized(signed), { readUnknownFields: false }))
    const promise: Promised = {
      cid: decodeCid(message.cid),
      untilMs: wholeNumber(message.untilMs),
      atMs: wholeNumber(message.atMs),
      asker: decodePeer(message.asker),
      holder: decodePeer(message.holder),
      signed,
    }
    await this.#verify(promise.holder, 'promise', signed)
    return promise
  }

  /** @throws ProtocolViolationError unless well formed and signed by its asker */
  async release(signed: SignedBytes): Promise<Release> {
    const message = parsed(() => fromBinary(ReleaseSchema, sized(signed), { readUnknownFields: false }))
    const release: Release = {
      cid: decodeCid(message.cid),
      atMs: wholeNumber(message.atMs),
      asker: decodePeer(message.asker),
      holder: decodePeer(message.holder),
    }
    await this.#verify(release.asker, 'release', signed)
    return release
  }

  async #sign(key: PrivateKey, kind: StatementKind, payload: Uint8Array): Promise<SignedBytes> {
    return { payload, signature: await key.sign(signedInput(kind, this.#networkName, payload)) }
  }

  async #verify(signer: PeerId, kind: StatementKind, { payload, signature }: SignedBytes): Promise<void> {
    const { publicKey } = signer
    // Only ids that hold their key can be checked without asking anybody for it; ours all do.
    const isValid =
      publicKey !== undefined &&
      (await publicKey.verify(signedInput(kind, this.#networkName, payload), signature))
    if (!isValid) throw new ProtocolViolationError('bad-signature', `a ${kind} that its peer did not sign`)
  }
}

function parties({ asker, holder }: { asker: PeerId; holder: PeerId }): {
  asker: Uint8Array
  holder: Uint8Array
} {
  return { asker: asker.toMultihash().bytes, holder: holder.toMultihash().bytes }
}

function sized({ payload, signature }: SignedBytes): Uint8Array {
  if (payload.length === 0 || payload.length > MAX_PAYLOAD_BYTES || signature.length !== SIGNATURE_BYTES) {
    throw new ProtocolViolationError('bad-size', 'a statement of the wrong size')
  }
  return payload
}
