import type { Command } from 'commander'
import { EXAMPLES, examplesText } from '../examples.ts'
import { registerCatalog } from './catalog.ts'
import { registerConfig } from './config.ts'
import { registerContent } from './content.ts'
import { registerCompletion } from './completion.ts'
import { registerJobs } from './jobs.ts'
import { registerNames } from './names.ts'
import { registerNode } from './node.ts'
import { registerPeers } from './peers.ts'
import { registerPins } from './pins.ts'
import { registerPrivate } from './private.ts'
import { registerPubsub } from './pubsub.ts'
import type { Run } from './register.ts'
import { registerSimulate } from './simulate.ts'
import { registerStorage } from './storage.ts'
import { registerSwarm } from './swarm.ts'
import { registerTokens } from './tokens.ts'
import { registerTrust } from './trust.ts'
import { registerVault } from './vault.ts'

/** Every command, in the order in which help lists them. */
export function registerAll(program: Command, run: Run): void {
  registerNode(program, run)
  registerVault(program, run)
  registerContent(program, run)
  registerPins(program, run)
  registerNames(program, run)
  registerCatalog(program, run)
  registerPrivate(program, run)
  registerPeers(program, run)
  registerTrust(program, run)
  registerPubsub(program, run)
  registerSwarm(program, run)
  registerJobs(program, run)
  registerStorage(program, run)
  registerConfig(program, run)
  registerTokens(program, run)
  registerSimulate(program, run)
  registerCompletion(program, run)
  for (const [words, examples] of Object.entries(EXAMPLES))
    commandAt(program, words).addHelpText('after', examplesText(examples))
}

function commandAt(program: Command, words: string): Command {
  let command: Command | undefined = program
  for (const word of words.split(' ')) command = command?.commands.find((child) => child.name() === word)
  if (command === undefined) throw new Error(`examples name a command that does not exist: ${words}`)
  return command
}
