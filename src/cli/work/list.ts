import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { pinsOf, pinsText } from './pins.ts'
import { objectsOf, objectsText } from './vault.ts'

/** Everything that this node keeps for its owner: private files, and public content by its pins. */
export async function listAll(context: CliContext, options: { links?: boolean }): Promise<number> {
  return withClient(context, async (client) => {
    const [objects, pins] = await Promise.all([objectsOf(context, client), pinsOf(context, client, {})])
    context.output.result({ objects, pins }, () => {
      const parts = [
        ...(objects.length === 0 ? [] : [objectsText(context, objects, options.links === true)]),
        ...(pins.length === 0 ? [] : [pinsText(context, pins)]),
      ]
      return parts.length === 0
        ? 'nothing yet: p2pnode put PATH keeps a file in private, p2pnode add PATH publishes one'
        : parts.join('\n\n')
    })
    return 0
  })
}
