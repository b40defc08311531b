import type { SimulatedFile } from '../files.ts'
import { NODES_PER_FILE } from '../limits.ts'
import type { Member } from '../network.ts'
import type { Fetch } from '../run.ts'

/** Times that each file is fetched, on the average: by a tenth of fifty nodes, or by both of three. */
const FETCHES_PER_NODE = 2

/** Who brings files: every fifth node from the second one on, whatever its role, so that masters and leechers do too. */
export function givers(members: readonly Member[]): Member[] {
  return members.filter(({ index }) => index % NODES_PER_FILE === 1)
}

/**
 * Who fetches what: each node the file of its own number, and one that lies elsewhere in the row; never its own. The same nodes and
 * files give the same plan.
 */
export function plan(members: readonly Member[], files: readonly SimulatedFile[]): Fetch[] {
  return members.flatMap((member) =>
    Array.from({ length: Math.min(FETCHES_PER_NODE, files.length) }, (_, round) => {
      const file = files[(member.index + round * Math.ceil(files.length / FETCHES_PER_NODE)) % files.length]
      return file === undefined || file.holders.has(member) ? [] : [{ member, file }]
    }).flat(),
  )
}
