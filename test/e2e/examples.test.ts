import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EXAMPLES } from '../../src/cli/examples.ts'
import { type Daemon, Lab } from '../support/daemon.ts'

const checkout = fileURLToPath(new URL('../..', import.meta.url))

/** Lines of the README's shell blocks that call p2pnode, without their comments. */
async function readmeCommands(): Promise<string[]> {
  const text = await readFile(join(checkout, 'README.md'), 'utf8')
  const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1] ?? '')
  return blocks
    .flatMap((block) => block.split('\n'))
    .filter((line) => line.startsWith('npx p2pnode '))
    .map((line) => line.slice('npx p2pnode '.length).replace(/\s+#.*$/, ''))
}

describe('what the README and the help show can be typed as it stands', () => {
  const lab = new Lab()
  let node: Daemon
  let other: Daemon
  let folder: string
  let fileCid: string
  let folderCid: string
  let link: string
  let doomed: string
  let name: string

  beforeAll(async () => {
    node = await lab.daemon()
    other = await lab.daemon()
    const third = await lab.daemon()
    // A private file wants two holders at least.
    await node.json(['connect', other.address])
    await node.json(['connect', third.address])
    folder = await lab.folder()
    fileCid = (await node.json<{ cid: string }>(['add', join(checkout, 'README.md')])).cid
    folderCid = (await node.json<{ cid: string }>(['add', join(checkout, 'docs')])).cid
    const put = ['put', join(checkout, 'README.md'), '--name', 'example']
    link = (await node.json<{ link: string }>(put)).link
    doomed = (await node.json<{ link: string }>(put)).link
    const { keys } = await node.json<{ keys: { name: string }[] }>(['name', 'keys', 'ls'])
    name = keys[0]?.name ?? ''
  })
  afterAll(() => lab.close())

  const fill = (command: string): string[] =>
    command
      .replace('/ip4/ADDRESS/tcp/4700/p2p/PEER', other.address)
      .replace('PEER', other.ready.peerId)
      .replace(/^rm LINK$/, `rm ${doomed}`)
      .replaceAll('LINK', link)
      .replaceAll('NAME', name)
      .replace('CID/decisions', `${folderCid}/decisions`)
      .replace(/^ls CID$/, `ls ${folderCid}`)
      .replaceAll('CID', fileCid)
      .replaceAll('README.md', join(checkout, 'README.md'))
      .replace(/(add|put) docs/, `$1 ${join(checkout, 'docs')}`)
      .split(' ')

  it.each(
    Object.values(EXAMPLES)
      .flat()
      .filter((example) => example.byHand === undefined),
  )('help: p2pnode $command', async ({ command }) => {
    const result = await node.run(fill(command), { cwd: folder })
    expect(result.stderr).not.toContain('error:')
    expect(result.code).toBe(0)
  })

  it('every line of the README', async () => {
    const commands = await readmeCommands()
    expect(commands.length).toBeGreaterThan(6)
    for (const command of commands) {
      // `start` is what the Lab does; what an operator runs on a machine of its own gets a home of its own.
      if (command.startsWith('start ')) continue
      const result = await node.run([...fill(command)], { cwd: await lab.folder() })
      expect(`${command}: ${result.code} ${result.stderr}`).toBe(`${command}: 0 ${result.stderr}`)
    }
  })
})
