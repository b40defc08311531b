import { ApiError } from '../errors.ts'
import { RETRY_AFTER_SECONDS } from './limits.ts'

/** Statuses are those of the specification; the text is for people. */

export const unprocessable = (message: string): ApiError =>
  new ApiError('ERR_REQUEST_INVALID', 'usage', message, { status: 422 })

export const badRequest = (message: string): ApiError => new ApiError('ERR_REQUEST_INVALID', 'usage', message)

export const notAcceptable = (message: string): ApiError =>
  new ApiError('ERR_NOT_ACCEPTABLE', 'usage', message, { status: 406 })

export const unknownPath = (): ApiError =>
  new ApiError('ERR_ROUTE_UNKNOWN', 'usage', 'there is no such path in the routing API')

export const notImplemented = (): ApiError =>
  new ApiError('ERR_NOT_IMPLEMENTED', 'failed', 'this method is not supported here', { status: 501 })

export const busy = (): ApiError =>
  new ApiError('ERR_ROUTING_BUSY', 'busy', 'too many look-ups are under way; come back a little later', {
    headers: { 'retry-after': String(RETRY_AFTER_SECONDS) },
  })
