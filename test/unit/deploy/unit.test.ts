import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { createProgram } from '../../../src/cli/index.ts'

const path = fileURLToPath(new URL('../../../deploy/p2pnode.service', import.meta.url))
/** Tenths: what docs/operations/running.md says, and a tenth more for other versions of the tool. */
const MAX_EXPOSURE_TENTHS = 19

const settings = new Map(
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => /^\w+=/.test(line))
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
)
const hasAnalyze = spawnSync('systemd-analyze', ['--version'], { stdio: 'ignore' }).status === 0
if (!hasAnalyze) console.warn('SKIPPED: the unit by systemd-analyze, which this machine does not have')

describe('the systemd unit', () => {
  it('starts a node by a command line that exists, and is told by a helper', async () => {
    const [env, program, ...words] = settings.get('ExecStart')?.split(' ') ?? []
    expect([env, program]).toEqual(['/usr/bin/env', 'p2pnode'])
    let ran = ''
    await createProgram(async (command) => {
      ran = command.name()
    }).parseAsync(words, { from: 'user' })
    expect(ran).toBe('start')
    expect([settings.get('Type'), settings.get('NotifyAccess')]).toEqual(['notify', 'all'])
    expect(settings.get('Environment')).toBe(`P2PNODE_HOME=%S/${settings.get('StateDirectory')}`)
    // A stop ends by itself after 9.5 s at the latest.
    expect(Number(settings.get('TimeoutStopSec'))).toBeGreaterThan(10)
    expect(settings.get('RestartPreventExitStatus')).toBe('2')
  })

  it.skipIf(!hasAnalyze)('is valid', () => {
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' })
    expect([status, stderr]).toEqual([0, ''])
  })

  it.skipIf(!hasAnalyze)('exposes little', () => {
    const args = ['security', '--offline=true', `--threshold=${MAX_EXPOSURE_TENTHS}`, path]
    const { status, stdout } = spawnSync('systemd-analyze', args, { encoding: 'utf8' })
    expect(status, stdout).toBe(0)
  })
})
