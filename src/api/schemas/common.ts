import { Type } from 'typebox'
import { MAX_ADDRESS_LENGTH, MAX_LIST_ROWS, MAX_NAME_LENGTH, MAX_PARAM_LENGTH } from '../limits.ts'

/** Whole number of bytes, milliseconds, rows. */
export const Count = Type.Integer({ minimum: 0 })

/** Milliseconds since the Unix epoch. */
export const Instant = Type.Integer({ description: 'milliseconds since the Unix epoch' })

export const PeerText = Type.String({ minLength: 1, maxLength: 128, description: 'a peer id or did:key' })

export const CidText = Type.String({ minLength: 1, maxLength: MAX_PARAM_LENGTH, description: 'a CID' })

export const Address = Type.String({
  minLength: 1,
  maxLength: MAX_ADDRESS_LENGTH,
  description: 'CID, CID/path, /ipfs/CID/path or /ipns/NAME/path',
})

export const Name = Type.String({ minLength: 1, maxLength: MAX_NAME_LENGTH })

/** Pins may go without a name. */
export const PinName = Type.String({ maxLength: MAX_NAME_LENGTH })

export const Identifier = Type.String({ minLength: 1, maxLength: 128 })

export const Limit = Type.Integer({ minimum: 1, maximum: MAX_LIST_ROWS, default: 100 })

export const AfterId = Type.Integer({
  minimum: 0,
  description: 'continues after this row of the previous page',
})

export const Offline = Type.Boolean({ default: false, description: 'read only what this node holds' })

/** An answer that says nothing but that it was done. */
export const Done = Type.Object({}, { $id: 'Done' })

/** The one shape of every failure. */
export const ErrorReply = Type.Object(
  {
    error: Type.Object({
      code: Type.String({ description: 'stable, for programs: ERR_…' }),
      kind: Type.Enum(
        [
          'usage',
          'conflict',
          'not-found',
          'verification',
          'denied',
          'timeout',
          'cancelled',
          'no-space',
          'too-large',
          'busy',
          'unavailable',
          'failed',
        ],
        { type: 'string', description: 'what the failure means, coarse enough for an exit code' },
      ),
      message: Type.String({ description: 'for people' }),
      details: Type.Record(Type.String(), Type.Unknown()),
    }),
  },
  { $id: 'ErrorReply' },
)
