import { type Command, Option } from 'commander'
import { type Run, wholeNumber } from './register.ts'

const STATES = ['queued', 'running', 'waiting', 'needs-source', 'done', 'failed', 'cancelled']

/** jobs and events: what the node is doing. */
export function registerJobs(program: Command, run: Run): void {
  const work = () => import('../work/jobs.ts')
  const jobs = program.command('jobs').summary('long operations: list, watch, cancel')

  jobs
    .command('ls')
    .summary('jobs, newest first')
    .addOption(new Option('--state <STATE>', 'only those in this state').choices(STATES))
    .option('--kind <KIND>', 'only those of this kind, such as add or gc')
    .option('--limit <N>', 'at most so many', wholeNumber(1))
    .action(async (options: { state?: string; kind?: string; limit?: number }, command: Command) =>
      run(command, async (context) => (await work()).list(context, options)),
    )

  jobs
    .command('show')
    .summary('everything about one job')
    .argument('<id>')
    .action(async (id: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).show(context, id)),
    )

  jobs
    .command('cancel')
    .summary('end a job')
    .argument('<id>')
    .action(async (id: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).cancel(context, id)),
    )

  jobs
    .command('wait')
    .summary('wait until a job has ended; its failure is the exit code')
    .argument('<id>')
    .action(async (id: string, _: unknown, command: Command) =>
      run(command, async (context) => (await work()).wait(context, id)),
    )

  program
    .command('events')
    .summary('what happens at the node, line by line, until Ctrl-C')
    .option('--topics <LIST>', 'only these, with commas between: jobs, peers, storage, content, catalog')
    .action(async (options: { topics?: string }, command: Command) =>
      run(command, async (context) => (await work()).events(context, options.topics)),
    )
}
