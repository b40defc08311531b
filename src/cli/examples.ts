/** One command line worth showing, and what it is for. A test runs each of them against a node. */
export interface Example {
  /** What follows `p2pnode`; CID, PEER and the like are put in by whoever runs it. */
  command: string
  does: string
}

export const EXAMPLES = {
  add: [
    { command: 'add README.md', does: 'a file; prints its CID' },
    { command: 'add docs --pin manual', does: 'a folder with everything in it, pinned under a name' },
    { command: 'add README.md --no-pin --chunker fastcdc', does: 'cut by content; kept until the next gc' },
  ],
  get: [
    { command: 'get CID -o copy.md', does: 'a file under a name of your own' },
    { command: 'get CID/decisions -o decisions', does: 'a part of a folder' },
    { command: 'get CID -o copy.md --force', does: 'replace what is there' },
  ],
  cat: [
    { command: 'cat CID', does: 'a whole file' },
    { command: 'cat CID --offset 100 --length 20', does: 'twenty bytes of it' },
  ],
  ls: [
    { command: 'ls', does: 'what is pinned' },
    { command: 'ls CID', does: 'a folder' },
  ],
} satisfies Record<string, Example[]>

export function examplesText(examples: Example[]): string {
  const width = Math.max(...examples.map(({ command }) => command.length))
  return `\nExamples:\n${examples.map(({ command, does }) => `  p2pnode ${command.padEnd(width)}  ${does}`).join('\n')}`
}
