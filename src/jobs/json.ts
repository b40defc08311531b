import { jobDataInvalid } from './errors.ts'

/**
 * The JSON text of what a job is to store.
 *
 * @throws ERR_JOB_DATA when it is not JSON or longer than `maxBytes`
 */
export function toJson(
  what: 'parameters' | 'checkpoint' | 'result',
  value: unknown,
  maxBytes: number,
): string {
  let text: string
  try {
    // undefined, a function or a symbol at the top has no JSON; null stands for it.
    text = JSON.stringify(value) ?? 'null'
  } catch (error) {
    throw jobDataInvalid(what, error instanceof Error ? error.message : String(error))
  }
  const bytes = Buffer.byteLength(text)
  if (bytes > maxBytes) throw jobDataInvalid(what, `${bytes} bytes as JSON; at most ${maxBytes}`)
  return text
}
