import { addFile, fetchFile } from '../files.ts'
import { givers, plan } from './plan.ts'
import type { Scenario } from './types.ts'

export const basic: Scenario = {
  name: 'basic',
  summary: 'nodes of all roles connect; a fifth of them add public files, and all fetch some of them',
  minNodes: 2,
  async play(run) {
    if (!(await run.startAll())) return
    const { members } = run.network
    const files = await run.make(givers(members), 'adding files', addFile)
    await run.fetchAll(plan(members, files), 'fetching files', fetchFile, { isPublic: true })
  },
}
