import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { createProgram } from '../../../src/cli/index.ts'

const pages = ['running', 'upgrade-and-backup', 'local-network']

/** The words after `p2pnode` of each command line in the page's blocks; what a shell would put in is a word. */
function commandsOf(page: string): string[][] {
  const path = fileURLToPath(new URL(`../../../docs/operations/${page}.md`, import.meta.url))
  const blocks = readFileSync(path, 'utf8').match(/```sh\n[\s\S]*?```/g) ?? []
  const lines = blocks
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
  return lines
    .flatMap((line) => /^(?:sudo -u p2pnode (?:[A-Z0-9_]+=\S+ )?|npx )?p2pnode (.*)$/.exec(line)?.[1] ?? [])
    .map((words) => words.replaceAll(/"[^"]*"/g, 'WORD').split(/\s+/))
}

it.each(pages)('every command of docs/operations/%s.md is one that p2pnode has', async (page) => {
  const commands = commandsOf(page)
  expect(commands.length).toBeGreaterThan(2)
  for (const words of commands) {
    let ran = ''
    const program = createProgram(async (command) => {
      ran = command.name()
    })
    await program.parseAsync(words, { from: 'user' })
    expect(words, words.join(' ')).toContain(ran)
  }
})
