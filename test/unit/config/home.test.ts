import { describe, expect, it } from 'vitest'
import { defaultHome } from '../../../config/home.ts'

describe('the data folder', () => {
  it.each([
    ['linux', {}, '/home/a/.local/share/p2pnode'],
    ['linux', { XDG_DATA_HOME: '/data' }, '/data/p2pnode'],
    ['linux', { XDG_DATA_HOME: 'relative' }, '/home/a/.local/share/p2pnode'],
    ['linux', { XDG_DATA_HOME: '' }, '/home/a/.local/share/p2pnode'],
    ['freebsd', {}, '/home/a/.local/share/p2pnode'],
    ['darwin', { XDG_DATA_HOME: '/data' }, '/home/a/Library/Application Support/p2pnode'],
    ['linux', { P2PNODE_HOME: '/elsewhere', XDG_DATA_HOME: '/data' }, '/elsewhere'],
    ['linux', { P2PNODE_HOME: '' }, '/home/a/.local/share/p2pnode'],
  ] as const)('on %s with %j is %s', (platform, env, home) => {
    expect(defaultHome(env, platform, '/home/a')).toBe(home)
  })

  it('on Windows is below the local application data', () => {
    expect(defaultHome({ LOCALAPPDATA: 'D:\\Local' }, 'win32', 'C:\\Users\\a')).toBe('D:\\Local\\p2pnode')
    expect(defaultHome({}, 'win32', 'C:\\Users\\a')).toBe('C:\\Users\\a\\AppData\\Local\\p2pnode')
  })
})
