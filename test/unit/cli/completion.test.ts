import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { completionScript } from '../../../src/cli/completion.ts'
import { EXAMPLES } from '../../../src/cli/examples.ts'
import { createProgram } from '../../../src/cli/index.ts'

const program = createProgram(async () => {})
const run = promisify(execFile)

function everyCommand(command: Command, words: string[] = []): { words: string[]; command: Command }[] {
  return [
    { words, command },
    ...command.commands.flatMap((child) => everyCommand(child, [...words, child.name()])),
  ]
}

/** What bash offers after the words typed so far, the last of which may be unfinished. */
async function offers(words: string[]): Promise<string[]> {
  const script = `${completionScript(program, 'bash')}
COMP_WORDS=(p2pnode "$@"); COMP_CWORD=$#; _p2pnode; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout } = await run('bash', ['-c', script, 'bash', ...words])
  return stdout.split('\n').filter((line) => line !== '')
}

describe('completion', () => {
  it.each(['bash', 'zsh'] as const)('for %s is a script without errors', async (shell) => {
    await run('bash', ['-n', '-c', completionScript(program, shell)])
  })

  it.each(['bash', 'zsh', 'fish'] as const)('for %s knows every command and option', (shell) => {
    const script = completionScript(program, shell)
    for (const { words, command } of everyCommand(program)) {
      const last = words.at(-1)
      if (last !== undefined) expect(script).toMatch(new RegExp(`\\b${last}\\b`))
      for (const { long } of command.options)
        if (long !== undefined && long !== null)
          expect(script).toContain(shell === 'fish' ? `-l ${long.slice(2)}` : long)
    }
  })

  it('offers what fits', async () => {
    expect(await offers(['sta'])).toEqual(['start', 'status', 'stats', 'state'])
    expect(await offers(['pin', ''])).toEqual(expect.arrayContaining(['add', 'ls', 'rm', '--json']))
    expect(await offers(['pin', 'add', '--k'])).toEqual(['--kind'])
    expect(await offers(['start', '--role', ''])).toEqual(['master', 'worker', 'leecher'])
    expect(await offers(['--home', 'pin', 'confi'])).toEqual(['config'])
    expect(await offers(['add', '--profile', 'unixfs-v1'])).toEqual(['unixfs-v1-2025'])
  })
})

describe('help', () => {
  it('has a line for every command, and for every argument and option', () => {
    for (const { words, command } of everyCommand(program)) {
      if (words.length > 0) expect(`${words.join(' ')}: ${command.summary()}`).toMatch(/: \S.{5,70}$/)
      for (const option of command.options) expect(option.description, option.flags).not.toBe('')
    }
  })

  it('has examples that parse as they stand', () => {
    for (const [words, examples] of Object.entries(EXAMPLES)) {
      expect(examples.length).toBeGreaterThan(0)
      for (const { command } of examples) expect(command).toContain(words)
    }
  })
})
