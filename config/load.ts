import { join } from 'node:path'
import { readEnvironment } from './environment.ts'
import type { Environment } from './environment.ts'
import { CONFIG_FILE, parseConfigFile, readConfigFile } from './file.ts'
import { readFlags } from './flags.ts'
import type { Flags } from './flags.ts'
import { ConfigError } from './problems.ts'
import { resolve } from './resolve.ts'
import type { Resolution } from './resolve.ts'

export interface LoadOptions {
  /** The data folder; its `config.yaml` is read if it is there. */
  home: string
  env: Environment
  flags: Flags
  /** Another file in place of `HOME/config.yaml`; it must exist. */
  file?: string | undefined
}

export interface LoadedConfig extends Resolution {
  /** The file that was read, or null where there was none. */
  readonly file: string | null
}

/**
 * Reads all layers and puts them together: defaults < mode and role < file < environment < flags.
 *
 * @throws ConfigError (`ERR_CONFIG_INVALID`, kind `usage`) with every problem of every layer
 */
export async function loadConfig({ home, env, flags, file }: LoadOptions): Promise<LoadedConfig> {
  const path = file ?? join(home, CONFIG_FILE)
  const text = await readConfigFile(path)
  if (text === undefined && file !== undefined) {
    throw new ConfigError([{ key: null, message: 'there is no such file', where: path }])
  }
  const parsed = text === undefined ? [] : [await parseConfigFile(text, path)]
  const resolution = await resolve([...parsed, readEnvironment(env), readFlags(flags)])
  return { ...resolution, file: text === undefined ? null : path }
}
