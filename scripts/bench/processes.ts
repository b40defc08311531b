import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'

/** A helper process of a benchmark that prints JSON lines; ended with the benchmark whatever happens. */
export class Peer {
  readonly pid: number
  readonly #lines: AsyncIterator<string>
  readonly #stop: () => Promise<void>
  readonly #tell: (line: string) => void

  /** `execArgv`: what Node itself is told. */
  constructor(script: URL, args: string[], execArgv: readonly string[] = []) {
    const child = spawn(process.execPath, [...execArgv, script.pathname, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.pid = child.pid ?? -1
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const closed = once(child, 'close')
    this.#tell = (line) => child.stdin.write(`${line}\n`)
    this.#stop = async () => {
      child.kill('SIGKILL')
      await closed
    }
  }

  async next<T>(): Promise<T> {
    const line = await this.#lines.next()
    if (line.done === true) throw new Error('a process of the benchmark ended early')
    return JSON.parse(line.value) as T
  }

  /** A line on its standard input. */
  tell(line: string): void {
    this.#tell(line)
  }

  stop(): Promise<void> {
    return this.#stop()
  }
}

/** Resident memory of a process in bytes: now, and the highest so far. */
export async function memoryOf(pid: number): Promise<{ rssBytes: number; peakBytes: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024
  return { rssBytes: field('VmRSS'), peakBytes: field('VmHWM') }
}

/** Processor time of a process in seconds, user and system. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The name in brackets may hold spaces; fields are counted after it. Ticks are 1/100 s on Linux.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** Lets the highest resident memory be counted anew from now on. */
export async function resetPeak(pid: number): Promise<void> {
  const { writeFile } = await import('node:fs/promises')
  await writeFile(`/proc/${pid}/clear_refs`, '5').catch(() => {})
}
