import { formatYamlValue } from '../../config/describe.ts'
import { KEYS } from '../../config/keys.ts'
import type { WrittenValue } from '../../config/leaves.ts'
import { MODE_PROFILES, ROLE_PROFILES } from '../../config/profiles/index.ts'
import { allowed } from '../../config/values.ts'

/** Every key of the schema as a Markdown table, in the schema's order. */
export function keyTable(): string {
  const rows = [...KEYS.values()].map(({ path, leaf, variable }) => {
    const form = allowed(leaf).replace(/,? such as .*$/, '')
    return [`\`${path}\``, code(leaf.default), form, leaf.description, `\`${variable}\``]
  })
  return table(['key', 'default', 'allowed', 'meaning', 'environment'], rows)
}

/** What roles and modes change, as a Markdown table. */
export function profileTable(): string {
  const { master, leecher } = ROLE_PROFILES
  const { public: publicMode } = MODE_PROFILES
  const columns = [master, leecher, publicMode] as Partial<Record<string, WrittenValue>>[]
  const changed = [...KEYS.values()].filter(({ path }) => columns.some((column) => path in column))
  const rows = changed.map(({ path, leaf }) => [
    `\`${path}\``,
    code(leaf.default),
    ...columns.map((column) => (path in column ? code(column[path] as WrittenValue) : '')),
  ])
  return table(['key', 'worker, private', 'role master', 'role leecher', 'network.mode public'], rows)
}

function code(value: WrittenValue): string {
  if (typeof value !== 'object') return `\`${formatYamlValue(value, '')}\``
  return value.length === 0 ? '`[]`' : value.map((item) => `\`${item}\``).join('<br>')
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
