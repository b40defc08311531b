import type { Command } from 'commander'
import { type Run, wholeNumber } from './register.ts'

/** pubsub pub, sub, topics, peers, hook: what applications say to each other through their nodes. */
export function registerPubsub(program: Command, run: Run): void {
  const work = () => import('../work/pubsub.ts')
  const pubsub = program.command('pubsub').summary('signed messages between applications: say, hear')

  pubsub
    .command('pub')
    .summary('say something to all who listen to a topic, or to one peer')
    .argument('<topic>', 'one line of your choice')
    .argument('[text]', 'what to say (default: what comes from standard input)')
    .option('--to <PEER>', 'to this peer alone; fails unless it was taken there')
    .action(async (topic: string, text: string | undefined, options: { to?: string }, command: Command) =>
      run(command, async (context) => (await work()).pub(context, topic, text, options.to)),
    )

  pubsub
    .command('sub')
    .summary('print what is said under a topic, until it is stopped')
    .argument('<topic>')
    .option('--count <N>', 'stop after so many', wholeNumber(1))
    .action(async (topic: string, options: { count?: number }, command: Command) =>
      run(command, async (context) => (await work()).sub(context, topic, options.count)),
    )

  pubsub
    .command('topics')
    .summary('topics that somebody on this node listens to')
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await work()).topics(context)),
    )

  pubsub
    .command('peers')
    .summary('neighbours that hear a topic')
    .argument('<topic>')
    .action(async (topic: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).peers(context, topic)),
    )

  const hook = pubsub.command('hook').summary('webhooks: have what is said sent to a program by HTTP')
  const hooks = () => import('../work/hooks.ts')

  hook
    .command('add')
    .summary('send what is said under a topic there; prints the secret, this once')
    .argument('<topic>')
    .argument('<url>', 'http: or https:, as this node reaches it')
    .option('--secret <SECRET>', 'to sign with: whsec_ and base64 (default: a new one)')
    .action(async (topic: string, url: string, options: { secret?: string }, command: Command) =>
      run(command, async (context) => (await hooks()).add(context, topic, url, options.secret)),
    )

  hook
    .command('ls')
    .summary('where messages are sent, and how that goes')
    .action(async (_: unknown, command: Command) =>
      run(command, async (context) => (await hooks()).list(context)),
    )

  hook
    .command('rm')
    .summary('send nothing there any more; what waits is given up')
    .argument('<id>', 'as ls shows it', wholeNumber(1))
    .action(async (id: number, _: unknown, command: Command) =>
      run(command, async (context) => (await hooks()).remove(context, id)),
    )

  hook
    .command('enable')
    .summary('try one again at once that is failing or disabled')
    .argument('<id>', 'as ls shows it', wholeNumber(1))
    .action(async (id: number, _: unknown, command: Command) =>
      run(command, async (context) => (await hooks()).enable(context, id)),
    )
}
