import { parseRate } from './units.ts'

/** `08:00-18:00 out=2MiB/s`: the rates that hold for the node between two times of day, every day. */
export interface ScheduleEntry {
  /** Minutes since midnight, in the machine's own time; an end before the start is on the next day. */
  readonly fromMinute: number
  readonly toMinute: number
  /** Bytes a second; undefined where the entry says nothing about this direction. */
  readonly in: number | undefined
  readonly out: number | undefined
}

/** What an entry looks like, for people. */
export const SCHEDULE_FORM = 'FROM-TO with in=RATE, out=RATE or both, such as "08:00-18:00 out=2MiB/s"'

const MINUTES_PER_DAY = 1_440
/** Nobody is served below it: the same bound as that of the other rates. */
const MIN_BYTES_PER_SECOND = 4 * 1024

/** @throws RangeError that says what is wrong */
export function parseSchedule(text: string): ScheduleEntry {
  const [times = '', ...rates] = text.trim().split(/\s+/)
  const [from, to, ...more] = times.split('-').map(minuteOf)
  if (from === undefined || to === undefined || more.length > 0) {
    throw new RangeError('whose times are not FROM-TO, such as 08:00-18:00')
  }
  if (from === to) throw new RangeError('which begins when it ends')
  const entry: { in: number | undefined; out: number | undefined } = { in: undefined, out: undefined }
  for (const part of rates) {
    const [, direction, rate = ''] = /^(in|out)=(.+)$/.exec(part) ?? []
    if (direction !== 'in' && direction !== 'out') throw new RangeError('which has more than in= and out=')
    if (entry[direction] !== undefined) throw new RangeError(`which has ${direction}= twice`)
    const bytesPerSecond = parseRate(rate)
    if (bytesPerSecond === undefined || bytesPerSecond < MIN_BYTES_PER_SECOND) {
      throw new RangeError(`whose ${direction}= is no rate from 4KiB/s, or unlimited`)
    }
    entry[direction] = bytesPerSecond
  }
  if (entry.in === undefined && entry.out === undefined) {
    throw new RangeError('which has neither in= nor out=')
  }
  return { fromMinute: from, toMinute: to, ...entry }
}

/** The rate of a direction at a time, or undefined where no entry says one. */
export function scheduledRate(
  schedule: readonly ScheduleEntry[],
  direction: 'in' | 'out',
  at: Date,
): number | undefined {
  const minute = at.getHours() * 60 + at.getMinutes()
  return schedule.find((entry) => entry[direction] !== undefined && covers(entry, minute))?.[direction]
}

/** Whether two entries both say something about one direction at one time. */
export function doOverlap(a: ScheduleEntry, b: ScheduleEntry): boolean {
  const isSameWay = (a.in !== undefined && b.in !== undefined) || (a.out !== undefined && b.out !== undefined)
  return isSameWay && (covers(a, b.fromMinute) || covers(b, a.fromMinute))
}

function covers({ fromMinute, toMinute }: ScheduleEntry, minute: number): boolean {
  if (fromMinute < toMinute) return minute >= fromMinute && minute < toMinute
  return minute >= fromMinute || minute < toMinute
}

function minuteOf(text: string): number | undefined {
  const [, hours, minutes] = /^(\d{2}):(\d{2})$/.exec(text) ?? []
  const minute = Number(hours) * 60 + Number(minutes)
  return Number(minutes) < 60 && minute < MINUTES_PER_DAY ? minute : undefined
}
