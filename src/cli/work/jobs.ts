import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { failureOfJob, type Schema } from '../../client/index.ts'
import type { CliContext } from '../context.ts'
import { withClient } from '../daemon.ts'
import { showJob } from '../job.ts'
import { formatBytes, formatCount, formatDuration, formatTime, printable } from '../format.ts'
import { factsText, tableText } from '../table.ts'

type Job = Schema<'JobRecord'>

function progressText({ progress, state }: Job): string {
  if (progress === null || state === 'done') return ''
  const amount = (value: number): string =>
    progress.unit === 'bytes' ? formatBytes(value) : formatCount(value)
  if (progress.total === undefined || progress.total === 0)
    return `${amount(progress.done)} ${progress.unit === 'bytes' ? '' : progress.unit}`.trim()
  return `${Math.floor((100 * progress.done) / progress.total)} % of ${amount(progress.total)}`
}

function showText(context: CliContext, job: Job): string {
  const facts: [string, string][] = [
    ['id', job.id],
    ['kind', job.kind],
    ['title', job.title],
    ['state', job.state],
  ]
  const progress = progressText(job)
  if (progress !== '') facts.push(['progress', progress])
  if (job.reason !== null) facts.push(['waits because', job.reason])
  facts.push(['begun', formatTime(job.createdAtMs)])
  if (job.endedAtMs !== null) facts.push(['took', formatDuration(job.endedAtMs - job.createdAtMs)])
  if (job.error !== null) facts.push(['error', `${job.error.message} (${job.error.code})`])
  if (job.result !== null && job.result !== undefined) facts.push(['result', JSON.stringify(job.result)])
  return factsText(context.output, facts)
}

export async function list(
  context: CliContext,
  options: { state?: string; kind?: string; limit?: number },
): Promise<number> {
  return withClient(context, async (client) => {
    const answer = await client.get('/api/v1/jobs', {
      params: { query: options as { state?: Job['state'] } },
      signal: context.signal,
    })
    context.output.result(answer, () =>
      answer.jobs.length === 0
        ? 'no jobs'
        : tableText(
            context.output,
            ['ID', 'STATE', 'BEGUN', 'PROGRESS', 'TITLE'],
            answer.jobs.map((job) => [
              job.id,
              job.state,
              formatTime(job.createdAtMs),
              progressText(job),
              job.reason === null ? job.title : `${job.title}: ${job.reason}`,
            ]),
          ),
    )
    return 0
  })
}

export async function show(context: CliContext, id: string): Promise<number> {
  return withClient(context, async (client) => {
    const job = await client.get('/api/v1/jobs/{id}', { params: { path: { id } }, signal: context.signal })
    context.output.result(job, () => showText(context, job))
    return 0
  })
}

export async function cancel(context: CliContext, id: string): Promise<number> {
  return withClient(context, async (client) => {
    const job = await client.post('/api/v1/jobs/{id}/cancel', {
      params: { path: { id } },
      signal: context.signal,
    })
    context.output.result(job, () => `${job.id} is ${job.state}`)
    return 0
  })
}

/** The job goes on when the waiting is cancelled: somebody else started it. */
export async function wait(context: CliContext, id: string): Promise<number> {
  return withClient(context, async (client) => {
    const job = await client.waitForJob(id, {
      signal: context.signal,
      onChange: (now) => showJob(context, now),
    })
    if (job.state === 'failed' && job.error !== null) throw failureOfJob(job.error)
    if (job.state === 'cancelled')
      throw failureOfJob({
        code: 'ERR_JOB_CANCELLED',
        kind: 'cancelled',
        message: `${job.title} was cancelled`,
      })
    context.output.result(job, () => showText(context, job))
    return 0
  })
}

export async function events(context: CliContext, topics: string | undefined): Promise<number> {
  return withClient(context, async (client) => {
    for await (const event of client.events({
      ...(topics === undefined ? {} : { topics: topicsOf(topics) }),
      signal: context.signal,
    })) {
      context.output.line(
        event,
        () => `${formatTime(Date.now())}  ${event.event}  ${printable(JSON.stringify(event.data))}`,
      )
    }
    return 0
  })
}

const TOPICS = ['jobs', 'peers', 'storage', 'content'] as const

function topicsOf(text: string): (typeof TOPICS)[number][] {
  return text.split(',').map((name) => {
    const topic = TOPICS.find((known) => known === name.trim())
    if (topic === undefined) {
      throw new P2pnodeError(
        'ERR_TOPIC_UNKNOWN',
        'usage',
        `there is no topic ${JSON.stringify(name)}; there are ${TOPICS.join(', ')}`,
      )
    }
    return topic
  })
}
