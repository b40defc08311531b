import type { NodeServices } from '../../node/index.ts'
import { contentOf, hashOf, operationSignal, runJob, type SimulatedFile } from '../files.ts'
import type { Member } from '../network.ts'
import { givers, plan } from './plan.ts'
import type { Scenario } from './types.ts'

/** Masters and workers lend storage: six of eight nodes, enough for copies beside the owner. */
const MIN_NODES = 5

export const privateFiles: Scenario = {
  summary: 'a fifth of the nodes put private files over the others; all read some of them by their links',
  minNodes: MIN_NODES,
  async play(run) {
    if (!(await run.startAll())) return
    const { members } = run.network
    const files = await run.make(givers(members), 'putting private files', putFile)
    await run.fetchAll(plan(members, files), 'reading private files', readFile, { isPublic: false })
  },
}

async function putFile(
  member: Member,
  services: NodeServices,
  index: number,
  signal: AbortSignal,
): Promise<SimulatedFile> {
  const { name, bytes, sha256 } = contentOf(index)
  const params = { source: 'file', fileName: name, name, allowDegraded: false, preserveMode: false }
  const { link } = await runJob<{ link: string }>(services, 'put', params, operationSignal(signal), bytes)
  return { name, sizeBytes: bytes.length, sha256, address: link, holders: new Set([member]) }
}

function readFile(services: NodeServices, file: SimulatedFile, signal: AbortSignal): Promise<string> {
  return hashOf(services.vault.cat(file.address, { signal: operationSignal(signal) }))
}
