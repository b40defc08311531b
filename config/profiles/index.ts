import type { Config } from '../schema.ts'
import type { Differences } from './differences.ts'
import { leecher } from './leecher.ts'
import { master } from './master.ts'
import { publicMode } from './public.ts'
import { worker } from './worker.ts'

export const ROLE_PROFILES: Readonly<Record<Config['role'], Differences>> = { master, worker, leecher }

export const MODE_PROFILES: Readonly<Record<Config['network']['mode'], Differences>> = {
  private: {},
  public: publicMode,
}
