import type { CID } from 'multiformats/cid'
import type { BlockWriter, ImportPrivacy } from './block-writer.ts'

/** What a job's result says of privacy. */
export interface PrivacyNote {
  private?: true
  privateBlocks?: number
}

/**
 * Before roots are pinned or told of: makes those of a private import private for good, and refuses public ones that are
 * private already.
 *
 * @param since the marks' generation when the import began; undefined for one that goes on after a restart
 * @throws ERR_CONTENT_PRIVATE
 */
export async function settlePrivacy(
  roots: readonly CID[],
  privacy: ImportPrivacy | undefined,
  since: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (privacy === undefined) return
  for (const root of roots) {
    if (privacy.isPrivate) await privacy.content.addRoot(root, since, signal)
    else privacy.content.assertPublic(root)
  }
}

export function privacyNote(privacy: ImportPrivacy | undefined, writer: BlockWriter): PrivacyNote {
  if (privacy?.isPrivate === true) return { private: true }
  return writer.privateBlocks === 0 ? {} : { privateBlocks: writer.privateBlocks }
}
