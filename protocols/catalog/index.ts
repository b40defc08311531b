/**
 * The format of the public catalogue: records that publishers sign, the heads of their logs, and the messages that carry
 * both. SPEC.md beside this file describes it. How records reach other nodes stands in `src/catalog`.
 *
 * ```ts
 * const record = signRecord(signer, 'main', { sequence: 1, previous: undefined, atMs, untilMs, entry })
 * const read = decodeSignedRecord(encodeSigned(record.signed))
 * isRecordSigned(read, 'main')
 * ```
 */
export { decodeHead, HEAD_NAMESPACE, headKey, isBetterHead, signHead } from './head.ts'
export {
  decodeBatch,
  decodeRecord,
  decodeSignedRecord,
  encodeBatches,
  isRecordSigned,
  signRecord,
} from './record.ts'
export { encodeSigned } from './signed.ts'
export { entryProblem } from './text.ts'
export type * from './types.ts'
export { ENTRY_KINDS } from './types.ts'
