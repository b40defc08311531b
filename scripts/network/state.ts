import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ProcessIdentity } from './identity.ts'

export type Role = 'master' | 'worker' | 'leecher'

/** One daemon of the network. What is null is not known until it serves. */
export interface NodeState {
  name: string
  role: Role
  home: string
  log: string
  process: ProcessIdentity
  peerId: string | null
  api: string | null
  multiaddrs: string[]
}

/** What `up` leaves for `status` and `down`: DIR/network.json. */
export interface NetworkState {
  version: 1
  /** `network.name` of all nodes: no other network of this machine is met. */
  network: string
  nodes: NodeState[]
}

export const STATE_FILE = 'network.json'

/** The state below `home`, or undefined where there is no network. @throws where the file is not what `writeState` writes */
export function readState(home: string): NetworkState | undefined {
  const path = join(home, STATE_FILE)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const state = JSON.parse(text) as NetworkState
    if (state.version === 1 && Array.isArray(state.nodes)) return state
  } catch {
    // Said below.
  }
  throw new Error(`${path} is no state of a local network: stop its daemons by hand, then remove the folder`)
}

/** Whole or not at all, and before it returns: a process that is not in it would be forgotten. */
export function writeState(home: string, state: NetworkState): void {
  const path = join(home, STATE_FILE)
  writeFileSync(`${path}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
