import { type Command, Option } from 'commander'
import { privateAddress } from '../private-address.ts'
import { type Run, wholeNumber } from './register.ts'
import type { AddOptions } from '../work/add.ts'
import type { ExportOptions, ImportOptions } from '../work/car.ts'
import type { GetOptions } from '../work/get.ts'

const ADDRESS = 'CID, CID/path, /ipfs/CID/path or /ipns/NAME/path'
const ANY_ADDRESS = `${ADDRESS}, or of a private file its link, link/path or .manifest file`

/** add, get, cat, ls, car, provide, providers, route: public content. */
export function registerContent(program: Command, run: Run): void {
  program
    .command('add')
    .summary('add a file or folder to the node and print its CID')
    .argument('<path>', 'file or folder; links inside a folder stay links')
    .addOption(
      new Option('--profile <PROFILE>', 'how the DAG is built')
        .choices(['unixfs-v1-2025', 'unixfs-v0-2015'])
        .default('unixfs-v1-2025'),
    )
    .option('--chunker <CHUNKER>', 'size-N (bytes) or fastcdc, instead of the chunker of the profile')
    .option('--pin <NAME>', 'name of the pin (default: the name of the file)')
    .option('--no-pin', 'do not pin: the next gc may remove it')
    .option('--private', 'only for peers of this network, until it is made public')
    .option('--detach', 'do not wait for the end of the job once the bytes are sent')
    .action(async (path: string, options: AddOptions, command: Command) =>
      run(command, async (context) => (await import('../work/add.ts')).add(context, path, options)),
    )

  program
    .command('get')
    .summary('fetch a file or folder and write it')
    .argument('<address>', ANY_ADDRESS)
    .option(
      '-o, --output <PATH>',
      'where to write (default: its name, or its CID, in this folder; - for standard output)',
    )
    .option('--force', 'replace what is there')
    .option('--private', 'of public files: ask peers of this network alone, and keep it private')
    .option('--detach', 'only fetch into the store; print the job')
    .action(async (address: string, options: GetOptions, command: Command) =>
      run(command, async (context) => {
        const hidden = privateAddress(address)
        return hidden === undefined
          ? (await import('../work/get.ts')).get(context, address, options)
          : (await import('../work/private-read.ts')).getPrivate(context, hidden, options)
      }),
    )

  program
    .command('cat')
    .summary('write a file to standard output')
    .argument('<address>', ANY_ADDRESS)
    .option('--offset <N>', 'first byte', wholeNumber(0))
    .option('--length <N>', 'bytes at most', wholeNumber(0))
    .action(async (address: string, options: { offset?: number; length?: number }, command: Command) =>
      run(command, async (context) => {
        const hidden = privateAddress(address)
        return hidden === undefined
          ? (await import('../work/read.ts')).cat(context, address, options)
          : (await import('../work/private-read.ts')).catPrivate(context, hidden, options)
      }),
    )

  program
    .command('ls')
    .summary('list a folder, or what is kept: private files and pins')
    .argument('[address]', `${ANY_ADDRESS}, of a folder`)
    .option('--links', 'show the links of private files: whoever has one can read the file')
    .action(async (address: string | undefined, options: { links?: boolean }, command: Command) =>
      run(command, async (context) => {
        if (address === undefined) return (await import('../work/list.ts')).listAll(context, options)
        const hidden = privateAddress(address)
        return hidden === undefined
          ? (await import('../work/read.ts')).ls(context, address)
          : (await import('../work/vault.ts')).listPrivate(context, hidden)
      }),
    )

  const car = program.command('car').summary('CAR archives: import, export')
  car
    .command('import')
    .summary('take the blocks of a CAR archive into the store')
    .argument('<file>')
    .option('--pin <NAME>', 'name of the pins of its roots')
    .option('--no-pin', 'do not pin; the archive need not be complete')
    .option('--private', 'only for peers of this network, until it is made public')
    .option('--detach', 'do not wait for the end of the job once the bytes are sent')
    .action(async (file: string, options: ImportOptions, command: Command) =>
      run(command, async (context) => (await import('../work/car.ts')).importCar(context, file, options)),
    )
  car
    .command('export')
    .summary('write everything below an address as a CAR archive')
    .argument('<address>', ADDRESS)
    .option('-o, --output <FILE>', 'where to write (default: CID.car; - for standard output)')
    .option('--force', 'replace what is there')
    .option('--private', 'private content too; the archive does not say that it is')
    .action(async (address: string, options: ExportOptions, command: Command) =>
      run(command, async (context) => (await import('../work/car.ts')).exportCar(context, address, options)),
    )

  program
    .command('provide')
    .summary('tell the network that this node has a CID')
    .argument('<cid>')
    .action(async (cid: string, _: unknown, command: Command) =>
      run(command, async (context) => (await import('../work/read.ts')).provide(context, cid)),
    )

  program
    .command('providers')
    .summary('who has a CID')
    .argument('<cid>')
    .action(async (cid: string, _: unknown, command: Command) =>
      run(command, async (context) => (await import('../work/route.ts')).providers(context, cid)),
    )

  program
    .command('route')
    .summary('from whom a CID would be taken, and why')
    .argument('<cid>')
    .option('--size <BYTES>', 'size of the content, where the root is not held', wholeNumber(0))
    .action(async (cid: string, options: { size?: number }, command: Command) =>
      run(command, async (context) => (await import('../work/route.ts')).route(context, cid, options)),
    )
}
