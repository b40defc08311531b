import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { describe, expect, it } from 'vitest'
import { KEYS } from '../../../config/keys.ts'
import { configOf } from '../../support/config.ts'
import { keyTable, profileTable } from '../../support/config-reference.ts'

const PAGE = new URL('../../../docs/operations/configuration.md', import.meta.url)

/** Puts fresh text between `<!-- name -->` and `<!-- /name -->`. */
function fill(page: string, name: string, text: string): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  expect(page).toContain(open)
  expect(page).toContain(close)
  return `${page.slice(0, page.indexOf(open) + open.length)}\n${text}\n${page.slice(page.indexOf(close))}`
}

describe('docs/operations/configuration.md', () => {
  it('has the tables that the schema gives (--update=all writes them)', async () => {
    const page = await readFile(PAGE, 'utf8')
    const fresh = fill(fill(page, 'keys', keyTable()), 'profiles', profileTable())
    await expect(fresh).toMatchFileSnapshot(PAGE.pathname)
  })

  it('shows only configurations that load', async () => {
    const page = await readFile(PAGE, 'utf8')
    const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map((match) => match[1] as string)
    expect(examples.length).toBeGreaterThan(0)
    for (const yaml of examples) await expect(configOf({ yaml })).resolves.toBeDefined()
    for (const yaml of examples) expect(Object.keys(parse(yaml)).length).toBeGreaterThan(0)
    const named = [...page.matchAll(/\b(P2PNODE_[A-Z_]+)=/g)].map((match) => match[1])
    const known = [...KEYS.values()].map(({ variable }) => variable)
    expect(named.filter((name) => !known.includes(name as string))).toEqual([])
  })
})
