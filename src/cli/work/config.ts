import {
  describeConfig,
  effectOf,
  formatEntries,
  initConfig,
  loadConfig,
  setConfig,
} from '../../../config/index.ts'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { CliContext } from '../context.ts'

export async function init(
  context: CliContext,
  options: { public?: boolean; role?: 'master' | 'worker' | 'leecher' },
): Promise<number> {
  const path = await initConfig({ home: context.home, ...options })
  context.output.result({ path }, () => `wrote ${path}`)
  return 0
}

export async function show(context: CliContext, key: string | undefined): Promise<number> {
  const loaded = await loadConfig({ home: context.home, env: context.env, flags: {} })
  const entries = describeConfig(loaded).filter(
    (entry) => key === undefined || entry.key === key || entry.key.startsWith(`${key}.`),
  )
  if (entries.length === 0) {
    throw new P2pnodeError(
      'ERR_CONFIG_KEY',
      'not-found',
      `there is no key ${JSON.stringify(key)}; all keys: p2pnode config show`,
    )
  }
  const { role } = loaded.config
  const effect = effectOf(loaded.config)
  context.output.result({ home: context.home, file: loaded.file, role, effect, values: entries }, () =>
    key === undefined
      ? `# A ${role}: ${effect.join('; ')}.\n${formatEntries(entries)}`
      : formatEntries(entries),
  )
  return 0
}

export async function validate(context: CliContext, file: string | undefined): Promise<number> {
  const loaded = await loadConfig({ home: context.home, env: context.env, flags: {}, file })
  context.output.result({ valid: true, file: loaded.file }, () =>
    loaded.file === null ? 'valid (no file, only defaults and environment)' : `${loaded.file} is valid`,
  )
  return 0
}

export async function set(context: CliContext, key: string, value: string): Promise<number> {
  const path = await setConfig({ home: context.home, changes: [{ key, value }] })
  context.output.result(
    { path, key, value },
    () => `set ${key} in ${path}; a running node takes it at its next start`,
  )
  return 0
}
