import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { formatBytes, formatTime, printable, printableLines } from '../format.ts'
import { tableText } from '../table.ts'

type Kind = Schema<'CatalogEntry'>['kind']

export interface PublishOptions {
  title?: string
  description?: string
  tag?: string[]
  kind?: Kind
  mime?: string
  size?: number
  lifetime?: number
  revealLink?: boolean
}

export interface SearchOptions {
  kind?: Kind
  tag?: string
  mime?: string
  publisher?: string
  limit?: number
  after?: string
  own?: boolean
}

export async function publish(
  context: CliContext,
  address: string,
  options: PublishOptions,
): Promise<number> {
  const { title, description, tag, kind, mime, size, lifetime, revealLink } = options
  return withClient(context, async (client) => {
    const body = {
      address,
      ...(title === undefined ? {} : { title }),
      ...(description === undefined ? {} : { description }),
      ...(tag === undefined ? {} : { tags: tag }),
      ...(kind === undefined ? {} : { kind }),
      ...(mime === undefined ? {} : { mime }),
      ...(size === undefined ? {} : { sizeBytes: size }),
      ...(lifetime === undefined ? {} : { lifetimeMs: lifetime }),
      ...(revealLink === undefined ? {} : { revealsLink: revealLink }),
    }
    const published = await client.post('/api/v1/catalog', { body, signal: context.signal })
    context.output.result(published, () => {
      const { entry, neighbours } = published
      return `published as number ${entry.sequence}, until ${formatTime(entry.untilMs)}; ${toldText(neighbours)}\nwithdraw it with: p2pnode catalog withdraw ${entry.sequence}`
    })
    return 0
  })
}

export async function search(context: CliContext, words: string[], options: SearchOptions): Promise<number> {
  // What the shell was told to keep together is meant to stand together.
  const terms = words.map((word) => (/\s/.test(word) && !word.includes('"') ? `"${word}"` : word))
  return showPage(context, options, terms.join(' '))
}

export async function list(context: CliContext, options: SearchOptions): Promise<number> {
  if (options.own === true && options.publisher !== undefined)
    throw new P2pnodeError('ERR_USAGE', 'usage', 'give either --own or --publisher')
  return showPage(context, options)
}

export async function withdraw(context: CliContext, numbers: string[], all: boolean): Promise<number> {
  if (numbers.length > 0 === all)
    throw new P2pnodeError('ERR_USAGE', 'usage', 'give either numbers of entries or --all')
  const sequences = numbers.map((text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : 0
    if (value < 1) throw new P2pnodeError('ERR_USAGE', 'usage', `${printable(text)} is no number of an entry`)
    return value
  })
  return withClient(context, async (client) => {
    const body = { sequences: all ? ('all' as const) : sequences }
    const withdrawn = await client.post('/api/v1/catalog/withdraw', { body, signal: context.signal })
    context.output.result(withdrawn, () => {
      const count = withdrawn.sequences.length
      return `withdrew ${count === 1 ? 'one entry' : `${count} entries`}; ${toldText(withdrawn.neighbours)}`
    })
    return 0
  })
}

export async function publishers(context: CliContext): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.get('/api/v1/catalog/publishers', { signal: context.signal })
    context.output.result(answer, () =>
      answer.publishers.length === 0
        ? 'nobody has published anything that this node knows of'
        : tableText(
            context.output,
            ['PUBLISHER', 'ENTRIES', 'NUMBER', 'NOTE'],
            answer.publishers.map((each) => [each.publisher, each.entries, each.sequence, noteOf(each)]),
          ),
    )
    return 0
  })
}

export async function sync(context: CliContext, publisher: string | undefined): Promise<number> {
  return withClient(context, async (client) => {
    const body = publisher === undefined ? {} : { publisher }
    const synced = await client.post('/api/v1/catalog/sync', { body, signal: context.signal })
    context.output.result(synced, () => {
      const { peers, failed, taken, given } = synced
      const withWhom = `compared with ${peers === 1 ? 'one peer' : `${peers} peers`}${failed > 0 ? `, ${failed} could not be asked` : ''}`
      const moved = `${taken} records came, ${given} were given`
      const of = synced.publisher
      return of === null
        ? `${withWhom}; ${moved}`
        : `${withWhom}; ${moved}\n${of.publisher}: ${of.entries} entries, up to number ${of.sequence}${behindText(of)}`
    })
    return 0
  })
}

async function showPage(context: CliContext, options: SearchOptions, text?: string): Promise<number> {
  const { kind, tag, mime, limit, after, own } = options
  return withClient(context, async (client) => {
    const publisher =
      own === true ? (await client.get('/api/v1/id', { signal: context.signal })).peerId : options.publisher
    const query = {
      ...(text === undefined ? {} : { text }),
      ...(kind === undefined ? {} : { kind }),
      ...(tag === undefined ? {} : { tag }),
      ...(mime === undefined ? {} : { mime }),
      ...(publisher === undefined ? {} : { publisher }),
      ...(limit === undefined ? {} : { limit }),
      ...(after === undefined ? {} : { after }),
    }
    const page = await client.get('/api/v1/catalog', { params: { query }, signal: context.signal })
    context.output.result(page, () => pageText(page, own === true))
    return 0
  })
}

function pageText(page: Schema<'CatalogPage'>, withNumbers: boolean): string {
  const entries = page.entries.map((entry) => entryText(entry, withNumbers))
  const { hidden, total, next } = page
  const footer = [
    total === 0 ? 'nothing matches' : `${page.entries.length} of ${total}`,
    ...(next === null ? [] : [`more: --after ${next}`]),
    ...(hidden.entries === 0
      ? []
      : [
          `${hidden.entries} of ${hidden.publishers === 1 ? 'one publisher' : `${hidden.publishers} publishers`} not shown: not trusted`,
        ]),
  ]
  return [...entries, footer.join('; ')].join('\n')
}

/** Title, what it is, address; descriptions come from strangers and are kept to their lines. */
function entryText(entry: Schema<'CatalogEntry'>, withNumber: boolean): string {
  const facts = [
    entry.kind,
    ...(entry.mime === '' ? [] : [entry.mime]),
    ...(entry.sizeBytes === null ? [] : [formatBytes(entry.sizeBytes)]),
    ...entry.tags.map((tag) => `#${tag}`),
  ]
  const number = withNumber ? `${entry.sequence}  ` : ''
  return [
    `${number}${printable(entry.title)}`,
    `    ${printable(facts.join(' '))}`,
    ...(entry.description === ''
      ? []
      : printableLines(entry.description)
          .split('\n')
          .map((line) => `    ${line}`)),
    `    ${printable(entry.address)}`,
    `    by ${entry.isOwn ? 'this node' : entry.publisher}, ${formatTime(entry.atMs)}${withNumber ? `, until ${formatTime(entry.untilMs)}` : ''}`,
  ].join('\n')
}

function noteOf(publisher: Schema<'CatalogPublisher'>): string {
  return [
    ...(publisher.isOwn ? ['this node'] : []),
    ...(publisher.isShown ? [] : ['not shown: not trusted']),
    ...(publisher.isForked ? ['signed two histories'] : []),
    ...(behindText(publisher) === '' ? [] : [behindText(publisher).slice(2)]),
  ].join('; ')
}

function behindText({ sequence, headSequence }: Schema<'CatalogPublisher'>): string {
  return headSequence !== null && headSequence > sequence ? `, of ${headSequence} that it tells` : ''
}

function toldText(neighbours: number): string {
  if (neighbours === 0) return 'nobody was told yet: it is told to whoever connects'
  return neighbours === 1 ? 'one neighbour was told' : `${neighbours} neighbours were told`
}
