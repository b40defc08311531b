import type { HostileReport, RoundSample } from '../../src/simulation/hostile/types.ts'
import { shareOf } from '../../src/simulation/hostile/holds.ts'
import { MIB } from './report.ts'

/** Pixels of one panel, and of what goes around it. */
const PANEL = { width: 200, height: 110, gap: 46, left: 90, top: 60 }
const INK = { on: '#1a6fb0', off: '#b0431a', quiet: '#888', frame: '#ccc' }
/** The top of a scale on which nothing was seen. */
const LEAST_TOP = 0.1
const FONT = 'font-family="sans-serif" font-size="11"'

interface Series {
  values: readonly (number | null)[]
  color: string
  dashes: string
}

interface Measure {
  title: string
  /** The top of the scale; undefined: the largest that was seen. */
  top?: number
  of: (round: RoundSample) => number | null
  /** A second line of the same report, dotted. */
  beside?: (round: RoundSample) => number | null
}

const MEASURES: readonly Measure[] = [
  { title: 'private reads, %', top: 100, of: (round) => percentOf(round.reads) },
  { title: 'public reads, %', top: 100, of: (round) => percentOf(round.publicReads) },
  {
    title: 'new columns on hostile, %',
    top: 50,
    of: ({ placed, placedHostile }) => (placed === 0 ? null : (placedHostile / placed) * 100),
  },
  { title: 'wasted, MiB a round', of: ({ falseBytes, lostBytes }) => (falseBytes + lostBytes) / MIB },
  { title: 'repaired, MiB a round', of: ({ repairedBytes }) => repairedBytes / MIB },
  {
    title: 'score as holder: honest, hostile (dotted)',
    top: 1,
    of: ({ scores }) => scores.honestStorage,
    beside: ({ scores }) => scores.hostileStorage,
  },
]

/** A row of panels for each way, a column for each measure; with trust on and off in each. */
export function hostilePlot(reports: readonly HostileReport[]): string {
  const byWay = [...Map.groupBy(reports, ({ ways }) => ways.join(', '))]
  const width = PANEL.left + MEASURES.length * (PANEL.width + PANEL.gap)
  const height = PANEL.top + byWay.length * (PANEL.height + PANEL.gap)
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    '<title>With a third of the peers hostile, round by round</title>',
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    label(PANEL.left, 18, 'trust on', INK.on),
    label(PANEL.left + 70, 18, 'trust off', INK.off),
    label(PANEL.left + 150, 18, 'from left to right: rounds', INK.quiet),
    ...MEASURES.map(({ title }, at) => label(leftOf(at), PANEL.top - 12, title, '#333')),
  ]
  for (const [row, [way, ofWay]] of byWay.entries()) {
    const top = PANEL.top + row * (PANEL.height + PANEL.gap)
    parts.push(label(8, top + PANEL.height / 2, way, '#333'))
    for (const [at, measure] of MEASURES.entries()) parts.push(panel(measure, ofWay, leftOf(at), top))
  }
  parts.push('</svg>', '')
  return parts.join('\n')
}

function panel(measure: Measure, reports: readonly HostileReport[], left: number, top: number): string {
  const lines = reports.flatMap(({ rounds, isTrusting }): Series[] => {
    const color = isTrusting ? INK.on : INK.off
    const main = { values: rounds.map(measure.of), color, dashes: '' }
    if (measure.beside === undefined) return [main]
    return [main, { values: rounds.map(measure.beside), color, dashes: '2 3' }]
  })
  const seen = lines.flatMap(({ values }) => values).filter((value) => value !== null)
  const most = measure.top ?? Math.max(LEAST_TOP, ...seen)
  const count = Math.max(2, ...lines.map(({ values }) => values.length))
  const x = (at: number): number => left + (at / (count - 1)) * PANEL.width
  const y = (value: number): number => top + PANEL.height * (1 - Math.min(1, value / most))
  return [
    `<rect x="${left}" y="${top}" width="${PANEL.width}" height="${PANEL.height}" fill="none" stroke="${INK.frame}"/>`,
    label(left - 4, top + 10, scale(most), INK.quiet, 'end'),
    label(left - 4, top + PANEL.height, '0', INK.quiet, 'end'),
    ...lines.map(({ values, color, dashes }) => {
      const points = values.flatMap((value, at) =>
        value === null ? [] : `${x(at).toFixed(1)},${y(value).toFixed(1)}`,
      )
      return `<polyline points="${points.join(' ')}" fill="none" stroke="${color}" stroke-width="2" stroke-dasharray="${dashes}"/>`
    }),
  ].join('\n')
}

function leftOf(column: number): number {
  return PANEL.left + column * (PANEL.width + PANEL.gap) + 30
}

function label(x: number, y: number, text: string, color: string, anchor = 'start'): string {
  return `<text x="${x}" y="${y}" fill="${color}" text-anchor="${anchor}" ${FONT}>${text}</text>`
}

function scale(value: number): string {
  return value >= 10 ? value.toFixed(0) : value.toPrecision(2)
}

function percentOf(reads: { attempted: number; right: number }): number | null {
  return reads.attempted === 0 ? null : shareOf(reads) * 100
}
