/**
 * The executable's entry. It decides only which half of the program to load: the command line alone for a client command, which
 * has 120 ms in all, or the daemon with libp2p and Helia for `start`.
 */
export async function run(args: string[]): Promise<void> {
  const { runCli } = await import('./cli/index.ts')
  process.exitCode = await runCli(args, {
    start: async (options) => (await import('./node/daemon.ts')).runDaemon(options),
    restore: async (options) => (await import('./node/restore.ts')).runRestore(options),
    simulate: async (options) => {
      const { simulate } = await import('./simulation/index.ts')
      return simulate(options).finally(endSoon)
    },
  })
}

/** What is left in the event loop after all nodes were stopped gets so long, and what was printed so long to be read. */
const LINGER_MS = 5_000

/** A part of some node that did not end in time must not keep the process, which has nothing left to do. */
function endSoon(): void {
  setTimeout(() => process.exit(), LINGER_MS).unref()
}
