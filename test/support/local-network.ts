import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { identityOf } from '../../scripts/network/identity.ts'
import type { NetworkReport } from '../../scripts/network/network.ts'

const script = fileURLToPath(new URL('../../scripts/local-network', import.meta.url))

export interface ScriptResult<T> {
  code: number
  json: T
  stderr: string
}

/** Runs the script to its end. */
export function localNetwork<T = NetworkReport>(...args: string[]): Promise<ScriptResult<T>> {
  return new Promise((resolve, reject) => {
    execFile(script, [...args, '--json'], { timeout: 300_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code
      if (typeof code !== 'number') return reject(error as Error)
      const line = stdout.trim()
      resolve({ code, stderr, json: (line === '' ? undefined : JSON.parse(line)) as T })
    })
  })
}

/** Which of the processes of a report still run. */
export function alive({ nodes }: NetworkReport): number[] {
  return nodes.map(({ pid }) => pid).filter((pid) => identityOf(pid) !== undefined)
}
