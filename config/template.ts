import { formatYamlValue } from './describe.ts'
import { KEYS } from './keys.ts'
import type { WrittenValue } from './leaves.ts'
import { MODE_PROFILES, ROLE_PROFILES } from './profiles/index.ts'
import type { Config, KeyPath } from './schema.ts'
import { allowed } from './values.ts'

export interface InitialChoices {
  /** Join the public IPFS network; otherwise nothing leaves the local network unasked. */
  public?: boolean | undefined
  role?: Config['role'] | undefined
}

const HEADER = `# Configuration of p2pnode. A key that is commented out has the value shown (with the role and mode below).
# Environment variables (P2PNODE_API_PORT) and flags (--set api.port=0) go before this file.
# "p2pnode config show" prints what is in force and where it comes from; "p2pnode config validate" checks this file.
`

/** The text of a first \`config.yaml\`: every key with its meaning, commented out but for what was chosen. */
export function initialText({ public: isPublic = false, role = 'worker' }: InitialChoices): string {
  const mode = isPublic ? 'public' : 'private'
  const effective: ReadonlyMap<string, WrittenValue> = new Map(
    Object.entries({ ...MODE_PROFILES[mode], ...ROLE_PROFILES[role], role, 'network.mode': mode }),
  )
  const active = new Set<KeyPath>([
    'role',
    'network.mode',
    ...(isPublic ? (['network.bootstrap'] as const) : []),
  ])
  const lines = [HEADER.trimEnd()]
  let open: string[] = []
  for (const { path, leaf } of KEYS.values()) {
    const names = path.split('.')
    const sections = names.slice(0, -1)
    sections.forEach((name, depth) => {
      if (sections.slice(0, depth + 1).every((section, index) => open[index] === section)) return
      if (depth === 0) lines.push('')
      lines.push(`${'  '.repeat(depth)}${name}:`)
    })
    if (sections.length === 0) lines.push('')
    open = sections
    const indent = '  '.repeat(sections.length)
    const value = formatYamlValue(effective.get(path) ?? leaf.default, indent)
    const entry = `${indent}${names.at(-1)}: ${value}`.split('\n').map((line) => line.trimEnd())
    lines.push(`${indent}# ${leaf.description}`)
    if (leaf.written === 'choice') lines.push(`${indent}# Allowed: ${allowed(leaf)}.`)
    lines.push(...(active.has(path) ? entry : entry.map((line) => `${indent}# ${line.slice(indent.length)}`)))
  }
  return `${lines.join('\n')}\n`
}
