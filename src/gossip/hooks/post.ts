import type { Agent } from 'node:http'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { ANSWER_PATIENCE_MS, MAX_ANSWER_BYTES } from './limits.ts'

export interface PostAnswer {
  status: number
  /** What the receiver asks for before the next attempt. */
  retryAfterMs: number | undefined
}

/**
 * Sends a body, and resolves once the answer is over: of it only the status matters, so what is longer or slower than bears waiting is
 * cut off. Redirects are not followed: they would lead where nobody has said that messages may go.
 *
 * @throws what node:http throws, and what the signal aborts with
 */
export function post(
  url: URL,
  options: { headers: Record<string, string>; body: string; agent: Agent; signal: AbortSignal },
): Promise<PostAnswer> {
  const { headers, body, agent, signal } = options
  const { promise, resolve, reject } = Promise.withResolvers<PostAnswer>()
  const send = url.protocol === 'https:' ? requestHttps : requestHttp
  const length = String(Buffer.byteLength(body))
  const request = send(url, {
    method: 'POST',
    headers: { ...headers, 'content-length': length },
    agent,
    signal,
  })
  let answer: PostAnswer | undefined
  // Once the status is there, it counts, however the rest ends.
  request.on('error', (error) => (answer === undefined ? reject(error) : resolve(answer)))
  request.on('response', (response) => {
    const told: PostAnswer = {
      status: response.statusCode ?? 0,
      retryAfterMs: pauseOf(response.headers['retry-after']),
    }
    answer = told
    let bytes = 0
    const patience = setTimeout(() => response.destroy(), ANSWER_PATIENCE_MS)
    response.on('data', (part: Buffer) => {
      bytes += part.length
      if (bytes > MAX_ANSWER_BYTES) response.destroy()
    })
    response.on('error', () => {})
    response.on('close', () => {
      clearTimeout(patience)
      resolve(told)
    })
  })
  request.end(body)
  return promise
}

/** Seconds, or a date (RFC 9110, section 10.2.3). */
function pauseOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now()
  return Number.isFinite(ms) && ms > 0 ? ms : undefined
}
