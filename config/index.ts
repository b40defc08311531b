/**
 * What an operator sets, in layers: defaults < mode and role < `config.yaml` < environment < flags.
 *
 * ```ts
 * const { config, sources } = await loadConfig({ home, env: process.env, flags: { set: ['api.port=0'] } })
 * config.storage.quotaBytes // 53687091200
 * ```
 *
 * The keys are the table in `schema.ts`; the differences of roles and of the public mode are the tables in `profiles/`.
 * Whoever needs only the data folder imports `home.ts`, which loads nothing else.
 */
export type { Layer, Source } from './assignments.ts'
export { describeConfig, formatEntries } from './describe.ts'
export type { Entry } from './describe.ts'
export { initConfig, setConfig } from './edit.ts'
export { effectOf } from './effect.ts'
export type { Change } from './edit.ts'
export type { Environment } from './environment.ts'
export type { Flags } from './flags.ts'
export { defaultHome } from './home.ts'
export { loadConfig } from './load.ts'
export type { LoadedConfig, LoadOptions } from './load.ts'
export { ConfigError, formatProblem } from './problems.ts'
export type { Problem } from './problems.ts'
export type { Sources } from './rules.ts'
export type { Config, ConfigSchema, KeyPath } from './schema.ts'
export type { InitialChoices } from './template.ts'
export { formatDuration, formatRate, formatSize, parseDuration, parseRate, parseSize } from './units.ts'
