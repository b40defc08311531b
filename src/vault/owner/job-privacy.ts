import type { JobPrivacy } from '../../jobs/types.ts'
import type { AtRest } from './at-rest.ts'

/** Jobs of the vault name files and hold links that read them: their rows are sealed as the owner's tables are. */
export function jobPrivacy(atRest: AtRest): JobPrivacy {
  return {
    seal: (row, text) => Buffer.from(atRest.seal('job', row, Buffer.from(text, 'utf8'))).toString('base64'),
    open: (row, sealed) =>
      Buffer.from(atRest.open('job', row, Buffer.from(sealed, 'base64'))).toString('utf8'),
  }
}
