import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Search } from '../../src/catalog/index.ts'
import { type CatalogFixture, newPublisher, openCatalog, takeInto } from '../../test/support/catalog.ts'
import { MIB, type Row } from './report.ts'

const PUBLISHERS = 20
const ENTRIES = 100_000
const BATCH_RECORDS = 256
const MAX_SEARCH_MS = 50
const MAX_LOOP_DELAY_MS = 50
const VOCABULARY_WORDS = 20_000
const RUNS = 9

/** What is asked, from a word of few entries to one that is in all of them. */
const SEARCHES: Readonly<Record<string, Search>> = {
  'a rare word': { text: 'w7fz' },
  'two words': { text: 'w1k w2p' },
  'a beginning': { text: 'w7f*' },
  'a phrase': { text: '"w1 w2"' },
  'a word of every second entry': { text: 'w2' },
  'a word of every entry': { text: 'common' },
  'a beginning of a tenth of all words': { text: 'w1*' },
  'two letters': { text: 'co*' },
  'a word of every entry, without another': { text: 'common -w1' },
  'a tag': { tag: 'w1' },
  'a tag and a type': { tag: 'w3', mime: 'video/' },
  'the newest': {},
  'the newest of a type': { mime: 'audio/' },
}

/** The catalogue at 100 000 entries of 20 publishers, five of them not trusted: taking them in, and searching. */
export async function catalogRows(): Promise<Row[]> {
  const fixture = await openCatalog({ sizeBytes: 1_024 * MIB })
  const delay = monitorEventLoopDelay({ resolution: 1 })
  try {
    const publishers = Array.from({ length: PUBLISHERS }, () => newPublisher(fixture.clock.nowMs))
    const wordOf = words()
    const texts = (count: number): string => Array.from({ length: count }, wordOf).join(' ')
    // Signed before, so that nothing but taking them in is measured.
    const records = Array.from({ length: ENTRIES }, (_, index) => {
      const publisher = publishers[index % PUBLISHERS]
      if (publisher === undefined) throw new RangeError('no publisher')
      return publisher.entry({
        title: `${texts(6)} common`,
        description: texts(40),
        tags: [wordOf(), wordOf(), wordOf()],
        mime: ['video/mp4', 'audio/flac', 'text/plain', ''][index % 4] ?? '',
      })
    })
    delay.enable()
    const startedMs = performance.now()
    for (let at = 0; at < ENTRIES; at += BATCH_RECORDS)
      await takeInto(fixture, records.slice(at, at + BATCH_RECORDS))
    const takenMs = performance.now() - startedMs
    delay.disable()
    for (const { peer } of publishers.slice(0, 5)) fixture.refused.set(peer, 'score')
    fixture.catalog.trustChanged()
    const searches: Record<string, Search> = {
      ...SEARCHES,
      'a word of every entry, of one publisher': { text: 'common', publisher: publishers[9]?.peer ?? '' },
    }
    const rows = Object.entries(searches).map(([name, search]) => searchRow(fixture, name, search))
    const { size } = await stat(join(dirname(fixture.state.path), 'state.db'))
    return [
      row(
        'catalogue: taken in',
        (ENTRIES / takenMs) * 1_000,
        'entries/s',
        'signatures checked, words indexed',
      ),
      {
        ...row(
          'catalogue: loop delay p99',
          delay.percentile(99) / 1e6,
          'ms',
          `while ${BATCH_RECORDS} at a time come`,
        ),
        hold: { atMost: MAX_LOOP_DELAY_MS },
      },
      row(
        'catalogue: state.db',
        size / MIB,
        'MiB',
        `${Math.round(size / ENTRIES)} bytes an entry, log apart`,
      ),
      ...rows,
    ]
  } finally {
    await fixture.close()
  }
}

function searchRow({ catalog, clock }: CatalogFixture, name: string, search: Search): Row {
  const times: number[] = []
  for (let run = 0; run < RUNS; run++) {
    // Whom to show is asked anew each time.
    clock.nowMs += 10_000
    const startedMs = performance.now()
    catalog.search(search)
    times.push(performance.now() - startedMs)
  }
  const median = times.toSorted((a, b) => a - b)[Math.floor(RUNS / 2)] ?? Number.NaN
  const { total, hidden } = catalog.search(search)
  return {
    ...row(`catalogue: ${name}`, median, 'ms', `${total} shown, ${hidden.entries} hidden of ${ENTRIES}`),
    hold: { atMost: MAX_SEARCH_MS },
  }
}

/** Words as frequent as those of a language, and always the same ones. */
function words(): () => string {
  let state = 1
  const next = (): number => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
  return () => `w${Math.floor(VOCABULARY_WORDS ** next()).toString(36)}`
}

function row(name: string, value: number, unit: string, measured: string): Row {
  return { name, value, unit, measured }
}
