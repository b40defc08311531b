import type { Command } from 'commander'
import { registerConfig } from './config.ts'
import { registerContent } from './content.ts'
import { registerCompletion } from './completion.ts'
import { registerJobs } from './jobs.ts'
import { registerNode } from './node.ts'
import { registerPeers } from './peers.ts'
import { registerPins } from './pins.ts'
import type { Run } from './register.ts'
import { registerStorage } from './storage.ts'
import { registerTokens } from './tokens.ts'

/** Every command, in the order in which help lists them. */
export function registerAll(program: Command, run: Run): void {
  registerNode(program, run)
  registerContent(program, run)
  registerPins(program, run)
  registerPeers(program, run)
  registerJobs(program, run)
  registerStorage(program, run)
  registerConfig(program, run)
  registerTokens(program, run)
  registerCompletion(program, run)
}
