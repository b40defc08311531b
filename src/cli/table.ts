import Table from 'cli-table3'
import { printable } from './format.ts'
import type { Output } from './output.ts'

const BARE = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
}

/** Columns under a head, without borders, so that `awk` and people can both read it. */
export function tableText(output: Output, head: string[], rows: (string | number)[][]): string {
  const table = new Table({
    head: head.map((name) => output.style('bold', name)),
    chars: BARE,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  table.push(...rows.map((row) => row.map((cell) => printable(String(cell)))))
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

/** Names and values, one a line. */
export function factsText(output: Output, facts: [string, string | number][]): string {
  const width = Math.max(...facts.map(([name]) => name.length))
  return facts
    .map(([name, value]) => `${output.style('bold', name.padEnd(width))}  ${printable(String(value))}`)
    .join('\n')
}
