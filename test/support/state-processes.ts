import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Child extends AsyncDisposable {
  /** Every line it has printed so far. */
  lines: string[]
  /** Resolves with the first line that matches, printed already or later; rejects when the process ends. */
  line(pattern: RegExp): Promise<string>
  /** As a power cut for the process: it runs nothing more. */
  kill(): Promise<void>
}

/** Starts test/support/state-child.ts. */
export function startChild(...args: string[]): Child {
  const path = fileURLToPath(new URL('./state-child.ts', import.meta.url))
  const child: ChildProcess = spawn(process.execPath, [path, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const lines: string[] = []
  const waiting = new Set<() => void>()
  if (child.stdout === null) throw new Error('no standard output')
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    for (const look of waiting) look()
  })
  const kill = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await exited
  }
  return {
    lines,
    line(pattern) {
      return new Promise((resolve, reject) => {
        const look = () => {
          const found = lines.find((line) => pattern.test(line))
          if (found === undefined) return
          waiting.delete(look)
          resolve(found)
        }
        waiting.add(look)
        look()
        void exited.then(() => reject(new Error(`the process ended after: ${lines.join(' | ')}`)))
      })
    },
    kill,
    [Symbol.asyncDispose]: kill,
  }
}
