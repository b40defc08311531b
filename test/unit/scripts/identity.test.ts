import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { identityOf, isRunning, type ProcessIdentity, signal } from '../../../scripts/network/identity.ts'

it('knows a process by its id and its start, and signals no other that has the id', async () => {
  const child = spawn('sleep', ['300'], { stdio: 'ignore' })
  await once(child, 'spawn')
  const closed = once(child, 'close')
  const identity = identityOf(child.pid as number) as ProcessIdentity
  const earlier = { ...identity, startedAt: `${identity.startedAt}0` }
  try {
    expect(isRunning(identity)).toBe(true)
    expect(isRunning(earlier)).toBe(false)
    expect(signal(earlier, 'SIGKILL')).toBe(false)
    expect(isRunning(identity)).toBe(true)
    expect(signal(identity, 'SIGTERM')).toBe(true)
    expect(await closed).toEqual([null, 'SIGTERM'])
    expect(isRunning(identity)).toBe(false)
    expect(signal(identity, 'SIGTERM')).toBe(false)
  } finally {
    child.kill('SIGKILL')
  }
})

it('never takes the machine itself, a group or nonsense for a process', () => {
  for (const pid of [1, 0, -1, 1.5, Number.NaN, 2 ** 40]) expect(identityOf(pid), String(pid)).toBeUndefined()
})
