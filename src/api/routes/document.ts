import { docsAsset, docsPage } from '../docs.ts'
import { routeUnknown } from '../errors.ts'
import { route, type Route } from '../route.ts'
import { StreamAnswer } from '../streaming.ts'
import { Type } from 'typebox'

const AssetParams = Type.Object({ asset: Type.String({ maxLength: 64 }) }, { additionalProperties: false })

export const documentRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/openapi.json',
    operationId: 'document',
    tag: 'node',
    access: 'read-unless-loopback',
    summary: 'This API as an OpenAPI 3.1 document',
    replies: { 200: { description: 'the document', type: 'application/json' } },
    handle: async (_call, context) =>
      new StreamAnswer(200, { 'content-type': 'application/json' }, [
        JSON.stringify(await context.document()),
      ]),
  }),
  route({
    method: 'GET',
    path: '/docs',
    operationId: 'docs',
    tag: 'node',
    access: 'read-unless-loopback',
    summary: 'This API as a page',
    replies: { 200: { description: 'the page', type: 'text/html' } },
    handle: async () => docsPage(),
  }),
  route({
    method: 'GET',
    path: '/docs/:asset',
    operationId: 'docsAsset',
    tag: 'node',
    access: 'read-unless-loopback',
    summary: 'Scripts and styles of the page',
    params: AssetParams,
    replies: { 200: { description: 'the file', type: 'application/octet-stream' } },
    handle: async ({ params }) => {
      const asset = await docsAsset(params.asset)
      if (asset === undefined) throw routeUnknown('GET', `/docs/${params.asset}`)
      return asset
    },
  }),
]
