import type { CID } from 'multiformats/cid'
import type { Announcement } from '../../../protocols/keep/types.ts'
import type { Storage } from '../../storage/types.ts'
import { dagSize } from '../read/dag-size.ts'
import type { ContentService } from '../types.ts'

/** A root is held, so that its block is all that is read; formats other than UnixFS are read whole. */
const DESCRIBE_TIMEOUT_MS = 10_000

/** What an announcement says of content that is held: the name of its pin, and its size where the root tells it. */
export async function described(
  cid: CID,
  content: Pick<ContentService, 'resolve'>,
  { pins, blocks }: Pick<Storage, 'pins' | 'blocks'>,
): Promise<Omit<Announcement, 'atMs'>> {
  const signal = AbortSignal.timeout(DESCRIBE_TIMEOUT_MS)
  const { type, size } = await content.resolve(cid.toString(), { signal, offline: true })
  const [pin] = pins.list({ cid, limit: 1 }).pins
  return {
    cid,
    name: pin?.name ?? '',
    sizeBytes: size ?? (await dagSize(blocks, cid, signal)),
    kind: type === 'directory' ? 'directory' : type === 'file' || type === 'raw' ? 'file' : 'other',
  }
}
