import { homedir } from 'node:os'
import { posix, win32 } from 'node:path'
import type { Environment } from './environment.ts'

/**
 * The data folder where none was named: `P2PNODE_HOME`, or the platform's own place for application data.
 *
 * | platform | folder |
 * |---|---|
 * | Linux and other Unix | `$XDG_DATA_HOME/p2pnode`, by default `~/.local/share/p2pnode` |
 * | macOS | `~/Library/Application Support/p2pnode` |
 * | Windows | `%LOCALAPPDATA%\p2pnode` |
 *
 * Nothing is read but the arguments, so that one process can ask for several users. Relative `XDG_DATA_HOME` is ignored,
 * as the XDG Base Directory Specification asks. This file imports nothing heavy: every client command runs it.
 */
export function defaultHome(
  env: Environment,
  platform: NodeJS.Platform,
  userHome: string = homedir(),
): string {
  const asked = env['P2PNODE_HOME']
  if (asked !== undefined && asked !== '') return asked
  if (platform === 'win32') {
    const local = env['LOCALAPPDATA'] || win32.join(userHome, 'AppData', 'Local')
    return win32.join(local, 'p2pnode')
  }
  if (platform === 'darwin') return posix.join(userHome, 'Library', 'Application Support', 'p2pnode')
  const data = env['XDG_DATA_HOME']
  const isUsable = data !== undefined && posix.isAbsolute(data)
  return posix.join(isUsable ? data : posix.join(userHome, '.local', 'share'), 'p2pnode')
}
