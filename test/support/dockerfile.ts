import { readFileSync } from 'node:fs'

export interface Instruction {
  name: string
  /** What follows, with continued lines joined. */
  text: string
  /** Of `COPY` and `FROM`: `--from=build`, `AS build`. */
  words: string[]
}

/** The instructions of a Dockerfile, in order; comments left out. */
export function readDockerfile(path: string): Instruction[] {
  return readFileSync(path, 'utf8')
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [name = '', ...words] = line.trim().split(/\s+/)
      return { name, text: line.trim().slice(name.length).trim(), words }
    })
}

/** The words of an instruction in its exec form: `["p2pnode", "status"]`. */
export function execForm({ text }: Instruction): string[] {
  return JSON.parse(text.slice(text.indexOf('['))) as string[]
}
