import type { NodeServices } from '../../node/index.ts'
import { contentOf, putContent, readFile, type SimulatedFile } from '../files.ts'
import type { Member } from '../network.ts'
import { givers, plan } from './plan.ts'
import type { Scenario } from './types.ts'

/** Masters and workers lend storage: six of eight nodes, enough for copies beside the owner. */
const MIN_NODES = 5

export const privateFiles: Scenario = {
  name: 'private',
  summary: 'a fifth of the nodes put private files over the others; all read some of them by their links',
  minNodes: MIN_NODES,
  async play(run) {
    if (!(await run.startAll())) return
    const { members } = run.network
    const files = await run.make(givers(members), 'putting private files', putFile)
    await run.fetchAll(plan(members, files), 'reading private files', readFile, { isPublic: false })
  },
}

function putFile(
  member: Member,
  services: NodeServices,
  index: number,
  signal: AbortSignal,
): Promise<SimulatedFile> {
  return putContent(member, services, contentOf(index), signal)
}
