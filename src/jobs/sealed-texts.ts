import { jobSealed } from './errors.ts'
import type { JobPrivacy } from './types.ts'

/** What stands before a sealed text; neither JSON nor a title or reason of any kind begins so. */
const MARK = 'sealed-1:'

type Column = 'title' | 'params' | 'progress' | 'reason' | 'result' | 'error' | 'checkpoint'
interface Job {
  id: string
  kind: string
}

/** The texts of job rows as they lie on disk: sealed for the kinds that ask for it, plain for the others. */
export class SealedTexts {
  /** One for each kind that asks for it. */
  readonly #privacy = new Map<string, JobPrivacy>()

  protect(kind: string, privacy: JobPrivacy): void {
    this.#privacy.set(kind, privacy)
  }

  seal<Text extends string | null>({ id, kind }: Job, column: Column, text: Text): Text | string {
    const privacy = this.#privacy.get(kind)
    if (privacy === undefined || text === null) return text
    return MARK + privacy.seal(rowOf(id, column), text)
  }

  /**
   * Texts without the mark are from before their kind asked for privacy.
   *
   * @throws ERR_JOB_SEALED where it does not open, and where nobody has registered its kind
   */
  open({ id, kind }: Job, column: Column, text: string): string {
    if (!text.startsWith(MARK)) return text
    const privacy = this.#privacy.get(kind)
    if (privacy === undefined) throw jobSealed()
    try {
      return privacy.open(rowOf(id, column), text.slice(MARK.length))
    } catch (cause) {
      throw jobSealed(cause)
    }
  }
}

function rowOf(id: string, column: Column): string {
  return `${id}/${column}`
}
