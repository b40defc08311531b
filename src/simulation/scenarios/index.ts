import { basic } from './basic.ts'
import { churn } from './churn.ts'
import { hostileScenario } from './hostile.ts'
import { privateFiles } from './private.ts'
import type { Scenario } from './types.ts'

/** Every scenario by its name; a further one is a file and a line here. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = Object.fromEntries(
  [basic, churn, privateFiles, hostileScenario()].map((scenario) => [scenario.name, scenario]),
)

export type { Scenario } from './types.ts'
