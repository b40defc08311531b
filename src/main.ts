/**
 * The executable's entry. It decides only which half of the program to load: the command line alone for a client command, which
 * has 120 ms in all, or the daemon with libp2p and Helia for `start`.
 */
export async function run(args: string[]): Promise<void> {
  const { runCli } = await import('./cli/index.ts')
  process.exitCode = await runCli(args, {
    start: async (options) => (await import('./node/daemon.ts')).runDaemon(options),
    restore: async (options) => (await import('./node/restore.ts')).runRestore(options),
    simulate: async (options) => (await import('./simulation/index.ts')).simulate(options),
  })
}
