import type { CID } from 'multiformats/cid'
import type { JobContext, JobHandler } from '../../jobs/types.ts'
import { parseAddress } from '../read/address.ts'
import type { PrivateParams, PrivateResult } from '../types.ts'
import type { PrivateContent } from './private-content.ts'

type Walk = (root: CID, signal: AbortSignal, onBlocks: (blocks: number) => void) => Promise<number>

/** The jobs `make-private` and `make-public`. One at a time: a second one would take the marks of the first for old ones. */
export function privateJobs(
  content: PrivateContent,
): [JobHandler<PrivateParams, PrivateResult>, JobHandler<PrivateParams, PrivateResult>] {
  return [
    handler('make-private', 'make private', (root, signal, onBlocks) =>
      content.markBelow(root, signal, onBlocks),
    ),
    handler('make-public', 'make public', (root, signal, onBlocks) =>
      content.makePublic(root, signal, onBlocks),
    ),
  ]
}

function handler(kind: string, title: string, walk: Walk): JobHandler<PrivateParams, PrivateResult> {
  return {
    kind,
    concurrency: 1,
    // Begins anew, which does no harm.
    resumable: true,
    title: ({ cid }) => `${title} ${cid}`,
    async run({ params, signal, progress }: JobContext<PrivateParams>) {
      const { root } = parseAddress(params.cid)
      const blocks = await walk(root, signal, (done) => progress({ done, unit: 'blocks' }))
      return { cid: root.toString(), blocks }
    },
  }
}
