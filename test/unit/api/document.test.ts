import { readFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { clientTypesText } from '../../../scripts/generate.ts'
import { buildDocument } from '../../../src/api/document.ts'
import { routes } from '../../../src/api/routes.ts'

type Json = Record<string, unknown>

interface Operation {
  operationId: string
  summary: string
  security: unknown[]
  responses: Record<string, { description: string; content?: Json }>
}

let document: Json & { paths: Record<string, Record<string, Operation>>; components: { schemas: Json } }

beforeAll(async () => {
  document = (await buildDocument(routes, '1.2.3')) as typeof document
})

/** A path of the table as the document writes it. */
const documentPath = (path: string): string => path.replace('/*', '/{path}').replace(/:(\w+)/g, '{$1}')

const operations = (): Operation[] => Object.values(document.paths).flatMap((path) => Object.values(path))

describe('the document', () => {
  it('is OpenAPI 3.1 of this version', () => {
    expect(document['openapi']).toBe('3.1.0')
    expect(document['info']).toMatchObject({ version: '1.2.3' })
  })

  it('has every route, each with its answers, a failure, and who may ask', () => {
    for (const route of routes) {
      const operation = document.paths[documentPath(route.path)]?.[route.method.toLowerCase()]
      expect(operation, `${route.method} ${route.path}`).toBeDefined()
      expect(Object.keys(operation?.responses ?? {}).sort()).toEqual(
        [...Object.keys(route.replies), 'default'].sort(),
      )
      expect(operation?.summary).not.toBe('')
      expect(operation?.security).toBeDefined()
      for (const { description } of Object.values(operation?.responses ?? {})) {
        expect(description).not.toBe('Default Response')
      }
    }
    expect(operations().length).toBe(routes.length + routes.filter(({ head }) => head).length)
  })

  it('names every operation once', () => {
    const names = operations().map(({ operationId }) => operationId)
    expect(new Set(names).size).toBe(names.length)
  })

  it('refers to schemas that it has, and has none that nothing refers to', () => {
    const text = JSON.stringify(document)
    const used = new Set([...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name))
    expect([...used].map(String).sort()).toEqual(Object.keys(document.components.schemas).sort())
    expect(text).not.toMatch(/"\$id"|"nullable"|"\$ref":"(?!#\/components\/schemas\/)/)
  })

  it('writes what may be null as JSON Schema 2020-12 does', () => {
    const job = document.components.schemas['JobRecord'] as { properties: Json; required: string[] }
    expect(job.properties['reason']).toMatchObject({ anyOf: [{ type: 'string' }, { type: 'null' }] })
    expect(job.required).toContain('endedAtMs')
  })

  it('is asked of with a token, but for what says otherwise', () => {
    for (const route of routes) {
      const operation = document.paths[documentPath(route.path)]?.[route.method.toLowerCase()]
      const asks = operation?.security.some((scheme) => 'token' in (scheme as object))
      expect(asks).toBe(route.access !== 'none')
    }
  })
})

// openapi-typescript lints the document against the rules of OpenAPI 3.1 first, and fails where it breaks one.
it('the types of the client are those of the document', async () => {
  const committed = await readFile(new URL('../../../src/client/api.gen.ts', import.meta.url), 'utf8')
  expect(committed === (await clientTypesText()), 'stale: run node scripts/generate.ts').toBe(true)
})
