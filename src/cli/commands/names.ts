import type { Command } from 'commander'
import type { PublishOptions, ResolveOptions } from '../work/names.ts'
import { duration, type Run } from './register.ts'

/** name publish, resolve, ls, …: names that can be led elsewhere (IPNS, DNSLink). */
export function registerNames(program: Command, run: Run): void {
  const work = () => import('../work/names.ts')
  const name = program.command('name').summary('names that can be led elsewhere: publish, resolve, keys')

  name
    .command('publish')
    .summary('let a name lead to an address, and keep it alive')
    .argument('<address>', 'CID, CID/path, /ipfs/CID/path or /ipns/NAME')
    .option('--key <NAME>', "key to publish with (default: the node's own)")
    .option(
      '--lifetime <DURATION>',
      'how long a record is valid (default: 48h); it is signed anew before',
      duration,
    )
    .option('--ttl <DURATION>', 'how long others may keep the answer (default: 5m)', duration)
    .option('--offline', 'only sign; the network is told in the background')
    .action(async (address: string, options: PublishOptions, command: Command) =>
      run(command, async (context) => (await work()).publish(context, address, options)),
    )

  name
    .command('resolve')
    .summary('where a name leads')
    .argument('<name>', 'IPNS name, peer id or domain; /ipns/NAME/path')
    .option('--record', "the name's own record, without following it")
    .option('--offline', 'answer from what this node knows')
    .option('--max-age <DURATION>', 'a kept answer may be so old; 0 asks the network first', duration)
    .action(async (text: string, options: ResolveOptions, command: Command) =>
      run(command, async (context) => (await work()).resolve(context, text, options)),
    )

  name
    .command('ls')
    .summary('names that this node publishes')
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await work()).list(context)),
    )

  name
    .command('unpublish')
    .summary('no longer publish with a key')
    .argument('<key>', "name of the key; self is the node's own")
    .action(async (key: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).unpublish(context, key)),
    )

  name
    .command('export')
    .summary('write the signed record of a name')
    .argument('<name>', 'IPNS name or peer id')
    .option('-o, --output <FILE>', 'where to write (default: NAME.ipns-record)')
    .option('--force', 'replace what is there')
    .action(async (text: string, options: { output?: string; force?: boolean }, command: Command) =>
      run(command, async (context) => (await work()).exportRecord(context, text, options)),
    )

  name
    .command('import')
    .summary('take a signed record of another key, and tell the network of it')
    .argument('<file>', 'the record')
    .option('--name <NAME>', 'the name it is of (default: the name of the file without .ipns-record)')
    .option('--no-keep', 'tell the network once, not again')
    .action(async (file: string, options: { name?: string; keep?: boolean }, command: Command) =>
      run(command, async (context) => (await work()).importRecord(context, file, options)),
    )

  const keys = name.command('keys').summary('keys that names are published with: ls, create, rm')
  keys
    .command('ls')
    .summary("the node's own, and those that were made")
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await work()).listKeys(context)),
    )
  keys
    .command('create')
    .summary('make a key, and with it a name')
    .argument('<key>', 'what to call it')
    .action(async (key: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).createKey(context, key)),
    )
  keys
    .command('rm')
    .summary('destroy a key: its name stays where it is until its record expires')
    .argument('<key>')
    .action(async (key: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).removeKey(context, key)),
    )
}
