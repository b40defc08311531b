import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { ConfigError, loadConfig } from '../../config/index.ts'
import type { Config, Environment, Flags, LoadedConfig, Problem } from '../../config/index.ts'

/** A folder that is removed when the test has finished. */
export async function temporaryHome(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'p2pnode-config-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  return home
}

export interface Layers {
  yaml?: string
  env?: Environment
  flags?: Flags
}

export async function loadLayers({
  yaml,
  env = {},
  flags = {},
}: Layers): Promise<LoadedConfig & { home: string }> {
  const home = await temporaryHome()
  if (yaml !== undefined) await writeFile(join(home, 'config.yaml'), yaml)
  return { ...(await loadConfig({ home, env, flags })), home }
}

/** What holds where nobody has set anything; outside of tests too. */
export async function defaultConfig(): Promise<Config> {
  return (await loadConfig({ home: join(tmpdir(), 'p2pnode-no-such-home'), env: {}, flags: {} })).config
}

export async function configOf(layers: Layers): Promise<Config> {
  return (await loadLayers(layers)).config
}

/** The problems with which the layers are refused; fails where they are not. */
export async function problemsOf(layers: Layers): Promise<Problem[]> {
  return problemsFrom(loadLayers(layers))
}

export async function problemsFrom(refused: Promise<unknown>): Promise<Problem[]> {
  const error = await refused.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(ConfigError)
  expect(error).toMatchObject({ code: 'ERR_CONFIG_INVALID', kind: 'usage' })
  return (error as ConfigError).details['problems'] as Problem[]
}
