import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseDuration, parseSize } from '../../../config/units.ts'
import type { PublishOptions, SearchOptions } from '../work/catalog.ts'
import { collect, type Run, wholeNumber } from './register.ts'

const KINDS = ['file', 'directory', 'release', 'private', 'other'] as const

/** catalog publish, search, ls, withdraw, publishers, sync: what is to be had in the network. */
export function registerCatalog(program: Command, run: Run): void {
  const work = () => import('../work/catalog.ts')
  const catalog = program
    .command('catalog')
    .summary('what is to be had in the network: publish, search, withdraw')

  catalog
    .command('publish')
    .summary('tell everybody in the network of something')
    .argument('<address>', 'CID, /ipfs/CID/path, /ipns/NAME, or the link of a private file')
    .option('--title <TEXT>', 'one line (default: the name of its pin)')
    .option('--description <TEXT>', 'a paragraph or two')
    .option('--tag <TAG>', 'may be given several times', collect)
    .addOption(new Option('--kind <KIND>', 'what it is').choices(KINDS))
    .option('--mime <TYPE>', 'MIME type, such as video/mp4')
    .option('--size <SIZE>', 'bytes, or such as 4MiB (default: what this node knows)', size)
    .option('--lifetime <DURATION>', 'how long the entry holds (default: catalog.lifetime, 90d)', duration)
    .option('--reveal-link', 'for a link: everybody may read what it opens, for good')
    .action(async (address: string, options: PublishOptions, command: Command) =>
      run(command, async (context) => (await work()).publish(context, address, options)),
    )

  narrowed(
    catalog
      .command('search')
      .summary('find entries by their words')
      .argument(
        '<words...>',
        'all must occur; "two words" together, begin*; what follows -- may have -without',
      ),
  ).action(async (words: string[], options: SearchOptions, command: Command) =>
    run(command, async (context) => (await work()).search(context, words, options)),
  )

  narrowed(catalog.command('ls').summary('the newest entries'))
    .option('--own', 'what this node has published')
    .action(async (options: SearchOptions, command: Command) =>
      run(command, async (context) => (await work()).list(context, options)),
    )

  catalog
    .command('withdraw')
    .summary('withdraw what this node has published')
    .argument('[numbers...]', 'as ls --own shows them')
    .option('--all', 'everything')
    .action(async (numbers: string[], options: { all?: boolean }, command: Command) =>
      run(command, async (context) => (await work()).withdraw(context, numbers, options.all === true)),
    )

  catalog
    .command('publishers')
    .summary('who publishes, and whose entries are not shown')
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await work()).publishers(context)),
    )

  catalog
    .command('sync')
    .summary('bring the catalogue up to date now, not only by and by')
    .argument('[publisher]', 'peer id or did:key: everything that it has published')
    .action(async (publisher: string | undefined, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).sync(context, publisher)),
    )
}

/** Options that make a list shorter. */
function narrowed(command: Command): Command {
  return command
    .addOption(new Option('--kind <KIND>', 'only such entries').choices(KINDS))
    .option('--tag <TAG>', 'only with this tag')
    .option('--mime <TYPE>', 'only of this type: video/mp4, or video/ for all of them')
    .option('--publisher <PEER>', 'only of this one: peer id or did:key')
    .option('--limit <N>', 'so many at most (20)', wholeNumber(1))
    .option('--after <NEXT>', 'the next page, as the one before names it')
}

function duration(text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined)
    throw new InvalidArgumentError('It must be a duration with its unit, such as 90d or 12h.')
  return ms
}

function size(text: string): number {
  const bytes = /^\d+$/.test(text) ? Number(text) : parseSize(text)
  if (bytes === undefined || !Number.isSafeInteger(bytes))
    throw new InvalidArgumentError('It must be a number of bytes, or a size with its unit, such as 4MiB.')
  return bytes
}
