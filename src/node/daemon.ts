import { type Flags, loadConfig } from '../../config/index.ts'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import { startWriterThread } from '../storage/blocks/writer-thread.ts'
import { createLogger } from '../telemetry/logger.ts'
import type { Node } from './index.ts'
import { createNotifier } from './notify.ts'

export interface DaemonOptions {
  home: string
  /** The strongest layer of the configuration. */
  flags: Flags
  env: Readonly<Record<string, string | undefined>>
  json: boolean
  quiet: boolean
  askPassphrase?: (() => Promise<string | undefined>) | undefined
}

const EXIT_FORCED = 1
const EXIT_CRASHED = 1
/** After a stop that hangs, the process ends by itself: just under the 10 s that service managers commonly allow. */
const STOP_TIMEOUT_MS = 9_500
/** What is left in the event loop after the stop gets so long. */
const LINGER_MS = 500

/**
 * Runs one node as this process: start, say where it is, stop at SIGTERM or SIGINT, at once at a second signal.
 *
 * Resolves to the exit code when the node has stopped in order; throws what made the start fail.
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const { config, sources } = await loadConfig({
    home: options.home,
    env: options.env,
    flags: options.flags,
  })
  const log = createLogger({ level: config.log.level, pretty: process.stderr.isTTY && !options.json })
  const stopRequested = new AbortController()
  // Both take as long; one of them takes a core of its own.
  const writerThread = startWriterThread()
  const { createNode } = await import('./index.ts')
  const node = createNode({
    home: options.home,
    config,
    sources,
    log,
    writerThread,
    passphrase: async () => options.env.P2PNODE_PASSPHRASE ?? (await options.askPassphrase?.()),
    onStopRequest: () => stopRequested.abort(),
  })

  const notifier = createNotifier({ env: options.env, log, look: () => lookAt(node) })
  const onStopping = (): void => notifier.stopping()
  stopRequested.signal.addEventListener('abort', onStopping, { once: true })

  let signals = 0
  const onSignal = (signal: NodeJS.Signals): void => {
    signals += 1
    if (signals > 1) {
      log.warn({ signal }, 'second signal: stopping at once')
      process.exit(EXIT_FORCED)
    }
    log.info({ signal }, 'stopping; a second signal stops at once')
    stopRequested.abort()
  }
  // What nobody caught leaves the node in a state that nobody knows: it stops in order and lets its supervisor start it anew.
  let crashed = false
  let failed = false
  const onCrash = (error: unknown): void => {
    log.error({ err: error }, 'unexpected failure; stopping')
    crashed = true
    stopRequested.abort()
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  process.on('uncaughtException', onCrash)
  process.on('unhandledRejection', onCrash)
  try {
    notifier.starting()
    await node.start(stopRequested.signal)
    if (!stopRequested.signal.aborted) {
      announce(node, options)
      notifier.ready(lookAt(node).status)
      await aborted(stopRequested.signal)
    }
  } catch (error) {
    // A start that was called off is a stop, not a failure.
    if (!(stopRequested.signal.aborted && isCancelled(error))) {
      failed = true
      await notifier.failed(error instanceof Error ? error.message : String(error))
      throw error
    }
  } finally {
    notifier.close()
    const force = setTimeout(() => {
      log.error('the stop took too long; ending all the same')
      process.exit(EXIT_FORCED)
    }, STOP_TIMEOUT_MS)
    force.unref()
    await node.stop()
    clearTimeout(force)
    // The handlers stay: a signal that comes now must not turn an orderly end into a death by signal. Sockets of
    // WebRTC, which are never closed, and handles that somebody forgot must not keep the process either, nor turn a
    // failure into a success.
    const exitCode = crashed || failed ? EXIT_CRASHED : 0
    setTimeout(() => process.exit(process.exitCode ?? exitCode), LINGER_MS).unref()
  }
  return crashed ? EXIT_CRASHED : 0
}

/** The node in one line, and whether it should go on: see the states in docs/operations/health.md. */
function lookAt(node: Node): { isWell: boolean; status: string } {
  const { state, problems } = node.health()
  if (node.state !== 'ready') return { isWell: state !== 'failed', status: state }
  const { role, api } = node.ready()
  const peers = node.services().network.peerCount()
  const status = [
    `${role}, ${state}: ${peers} ${peers === 1 ? 'peer' : 'peers'}, API ${api}`,
    ...problems,
  ].join('; ')
  return { isWell: state !== 'failed', status }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function isCancelled(error: unknown): boolean {
  return (
    (error instanceof P2pnodeError && error.kind === 'cancelled') ||
    (error instanceof Error && error.name === 'AbortError')
  )
}

/** Says that everything is serving: one JSON line for programs, a few lines for people. */
function announce(node: Node, options: DaemonOptions): void {
  const ready = node.ready()
  if (options.json) {
    process.stdout.write(`${JSON.stringify(ready)}\n`)
    return
  }
  if (options.quiet) return
  const homeOption = options.env.P2PNODE_HOME === undefined ? ` --home ${quote(ready.home)}` : ''
  process.stdout.write(
    [
      `p2pnode is ready as a ${ready.role}.`,
      '',
      `  peer     ${ready.peerId}`,
      ...ready.multiaddrs.map((address, index) => `  ${index === 0 ? 'listens' : '       '}  ${address}`),
      `  API      ${ready.api}   (documentation: ${ready.api}/docs)`,
      `  home     ${ready.home}`,
      '',
      'Try next, in another terminal:',
      '',
      `  npx p2pnode${homeOption} status`,
      `  npx p2pnode${homeOption} add README.md`,
      `  npx p2pnode${homeOption} get CID -o copy`,
      '',
      'Ctrl-C stops it.',
      '',
    ].join('\n'),
  )
}

function quote(path: string): string {
  return /^[\w./~-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
