import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { PrivateKey } from '@libp2p/interface'
import { SIGNATURE_BYTES } from '../shared/ed25519.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_EVIDENCE, MAX_PAYLOAD_BYTES, SCORE_PPM_MAX } from './limits.ts'
import { RecommendationSchema } from './messages_pb.ts'
import { decodePeer } from '../shared/parse-ids.ts'
import { parsed, wholeNumber } from '../shared/parsed.ts'
import {
  type Recommendation,
  type RecommendedView,
  type SignedBytes,
  type SignedRecommendation,
  VIEWS,
} from './types.ts'

const DOMAIN = 'p2pnode/trust/1/recommendation'

/** `domain ‖ 0x00 ‖ network name ‖ 0x00 ‖ payload`: a recommendation holds in one network only. */
function signedInput(networkName: string, payload: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${DOMAIN}\0${networkName}\0`), payload])
}

/** The caller has checked the score (0 to 1) and the evidence (whole, at most a million). */
export async function signRecommendation(
  key: PrivateKey,
  networkName: string,
  { by, subject, view, score, evidence, atMs, sequence }: Recommendation,
): Promise<SignedBytes> {
  const payload = toBinary(
    RecommendationSchema,
    create(RecommendationSchema, {
      by: by.toMultihash().bytes,
      subject: subject.toMultihash().bytes,
      view: VIEWS[view],
      scorePpm: Math.round(score * SCORE_PPM_MAX),
      evidence,
      atMs: BigInt(atMs),
      sequence,
    }),
  )
  return { payload, signature: await key.sign(signedInput(networkName, payload)) }
}

/**
 * What is said, without a look at the signature. Undefined for a view that this version does not know, which is nobody's fault.
 *
 * @throws ProtocolViolationError
 */
export function decodeRecommendation(signed: SignedBytes): SignedRecommendation | undefined {
  const { payload, signature } = signed
  if (payload.length === 0 || payload.length > MAX_PAYLOAD_BYTES || signature.length !== SIGNATURE_BYTES)
    throw new ProtocolViolationError('bad-size', 'a recommendation of the wrong size')
  const message = parsed(() => fromBinary(RecommendationSchema, payload, { readUnknownFields: false }))
  const by = decodePeer(message.by)
  const subject = decodePeer(message.subject)
  if (by.equals(subject))
    throw new ProtocolViolationError('own-praise', 'a peer that says what it is worth itself')
  if (message.scorePpm > SCORE_PPM_MAX || message.evidence > MAX_EVIDENCE)
    throw new ProtocolViolationError('out-of-range', 'a score or a number of evidence that cannot be')
  const atMs = wholeNumber(message.atMs)
  const view = viewOf(message.view)
  if (view === undefined) return undefined
  const score = message.scorePpm / SCORE_PPM_MAX
  const { evidence, sequence } = message
  return { by, subject, view, score, evidence, atMs, sequence, signed: { payload, signature } }
}

/** @throws ProtocolViolationError unless signed by whom it names */
export async function verifyRecommendation(
  networkName: string,
  { by, signed }: SignedRecommendation,
): Promise<void> {
  const { publicKey } = by
  // Only ids that hold their key can be checked without asking anybody for it; ours all do.
  const isValid =
    publicKey !== undefined &&
    (await publicKey.verify(signedInput(networkName, signed.payload), signed.signature))
  if (!isValid)
    throw new ProtocolViolationError('bad-signature', 'a recommendation that its peer did not sign')
}

function viewOf(value: number): RecommendedView | undefined {
  return (Object.keys(VIEWS) as RecommendedView[]).find((view) => VIEWS[view] === value)
}
