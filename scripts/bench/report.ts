import { styleText } from 'node:util'
import Table from 'cli-table3'

/** One measured number beside what it must hold. Ratios are between things measured in the same run. */
export interface Row {
  name: string
  /** What was measured, with its unit: `171 MiB/s`. */
  measured: string
  /** What it is compared with, where it is a ratio: `raw 312 MiB/s`. */
  against?: string
  value: number
  unit: string
  hold?: { atLeast: number } | { atMost: number }
  /** What explains the figure, when that is not plain. */
  note?: string
}

export function holds(row: Row): boolean | undefined {
  if (row.hold === undefined) return undefined
  return 'atLeast' in row.hold ? row.value >= row.hold.atLeast : row.value <= row.hold.atMost
}

export function printTable(rows: Row[]): void {
  const table = new Table({
    head: ['what', 'measured', 'against', 'value', 'hold', ''],
    style: { head: [], border: [] },
  })
  for (const row of rows) {
    const ok = holds(row)
    const bound =
      row.hold === undefined ? '' : 'atLeast' in row.hold ? `≥ ${row.hold.atLeast}` : `≤ ${row.hold.atMost}`
    const mark = ok === undefined ? '' : ok ? styleText('green', 'holds') : styleText('red', 'MISSED')
    table.push([
      row.name,
      row.measured,
      row.against ?? '',
      `${round(row.value)} ${row.unit}`.trim(),
      bound,
      mark,
    ])
  }
  console.log(table.toString())
  for (const row of rows) if (row.note !== undefined) console.log(`  ${row.name}: ${row.note}`)
}

export function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

export const MIB = 2 ** 20

export function rate(bytes: number, durationMs: number): number {
  return bytes / MIB / (durationMs / 1_000)
}
