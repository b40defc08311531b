/** A count that halves with time: how often lately. */
export interface Heat {
  value: number
  atMs: number
}

export const COLD: Heat = { value: 0, atMs: 0 }

export function heatAt({ value, atMs }: Heat, nowMs: number, halfLifeMs: number): number {
  return value * 2 ** (-Math.max(0, nowMs - atMs) / halfLifeMs)
}

/** One reading more. A clock that went back does no harm: time then stands still. */
export function warmed(heat: Heat, nowMs: number, halfLifeMs: number): Heat {
  return { value: heatAt(heat, nowMs, halfLifeMs) + 1, atMs: Math.max(nowMs, heat.atMs) }
}
