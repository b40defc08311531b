import { addFile, fetchFile, hashOf, type SimulatedFile } from '../files.ts'
import type { Member } from '../network.ts'
import type { Run } from '../run.ts'
import { givers, plan } from './plan.ts'
import type { Scenario } from './types.ts'

/** How long those who stayed may take to be one network again, and likewise once the others are back. */
const REJOIN_TIMEOUT_MS = 60_000

/**
 * A quarter of the nodes leaves, with those that brought files among them, and comes back later. Each file has a second
 * holder that stays, so that everything can be found all the time.
 */
export const churn: Scenario = {
  name: 'churn',
  summary:
    'as basic; then a quarter of the nodes leaves, the others fetch, they come back and have kept theirs',
  minNodes: 5,
  async play(run) {
    if (!(await run.startAll())) return
    const { network } = run
    const { members } = network
    const files = await run.make(givers(members), 'adding files', addFile)
    const leaving = leaversOf(members, files)
    const staying = members.filter((member) => !leaving.includes(member))
    const seconds = files.flatMap((file, index) => {
      const member = staying.filter((one) => !file.holders.has(one))[index % Math.max(1, staying.length - 1)]
      return member === undefined ? [] : [{ member, file }]
    })
    await run.fetchAll(seconds, 'making second copies', fetchFile, { isPublic: true })

    const leave = run.steps('nodes leave', leaving.length)
    await network.stop(leaving, leave)
    run.count('left', leaving.length)
    await rejoin(run, 'after a quarter had left')
    await run.fetchAll(plan(staying, files), 'fetching while they are away', fetchFile, { isPublic: true })

    const back = run.steps('nodes come back', leaving.length)
    await network.start(leaving, { signal: run.signal, onStarted: back })
    run.count('returned', leaving.length)
    await rejoin(run, 'after they had come back')
    await checkKept(run, leaving, files)
    await run.fetchAll(plan(leaving, files), 'fetching after their return', fetchFile, { isPublic: true })
  },
}

/** Every fourth node but the first master, who is everybody's way in; those that brought files first. */
function leaversOf(members: readonly Member[], files: readonly SimulatedFile[]): Member[] {
  const count = Math.max(1, Math.floor(members.length / 4))
  const bringers = new Set(files.flatMap(({ holders }) => [...holders]))
  const candidates = members.filter(({ index }) => index > 0)
  // Half of them bring files: the rest of what is asked for then comes from the second holders.
  const few = candidates.filter((member) => bringers.has(member)).slice(0, Math.max(1, Math.floor(count / 2)))
  const others = candidates.filter((member) => !bringers.has(member)).slice(0, count - few.length)
  return [...few, ...others]
}

async function rejoin(run: Run, when: string): Promise<void> {
  const isOne = await run.network.whenConnected(REJOIN_TIMEOUT_MS, run.signal)
  const running = run.network.running().length
  if (!isOne) run.fail(`${when}, ${run.network.connected().nodes} of ${running} nodes were connected`)
}

/** What a node was asked to keep it still has, without asking anybody. */
async function checkKept(
  run: Run,
  members: readonly Member[],
  files: readonly SimulatedFile[],
): Promise<void> {
  for (const file of files) {
    for (const member of members) {
      if (!file.holders.has(member)) continue
      const signal = run.operationSignal()
      const { content } = run.network.services(member)
      const sha256 = await hashOf(content.cat(file.address, { signal, offline: true })).catch(
        (error: Error) => error,
      )
      if (sha256 === file.sha256) run.count('kept', 1)
      else run.fail(`${member.name} came back without ${file.name}: ${String(sha256)}`)
    }
  }
}
