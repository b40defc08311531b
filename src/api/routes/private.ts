import { parseCid } from '../parse.ts'
import { route, type Route } from '../route.ts'
import { JobRecord } from '../schemas/jobs.ts'
import { MakePrivate, PrivateList, PrivateListQuery, PrivateParams } from '../schemas/private.ts'

/** Content that stays within this network. */
export const privateRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/private',
    operationId: 'listPrivate',
    tag: 'content',
    access: 'read',
    summary: 'Roots of private content',
    description: 'By CID, at most `limit` (1000); `after` continues a page.',
    query: PrivateListQuery,
    replies: { 200: { description: 'a page', schema: PrivateList } },
    handle: async ({ query }, { content }) => ({
      roots: content.privateRoots({
        ...(query.after === undefined ? {} : { after: parseCid(query.after) }),
        ...(query.limit === undefined ? {} : { limit: query.limit }),
      }),
    }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/private',
    operationId: 'makePrivate',
    tag: 'content',
    access: 'write',
    summary: 'Make content private',
    description:
      'The root is private when this answers; a job marks what is held below it. What was announced before cannot be called back.',
    body: MakePrivate,
    replies: { 202: { description: 'the job', schema: JobRecord } },
    handle: async ({ body }, { content, jobs }) => {
      await content.markPrivate(body.cid)
      return jobs.submit('make-private', { cid: body.cid })
    },
  }),
  route({
    method: 'DELETE',
    path: '/api/v1/private/:cid',
    operationId: 'makePublic',
    tag: 'content',
    access: 'write',
    summary: 'Make private content public',
    description: 'Starts a job. What other private content shares with it stays private.',
    params: PrivateParams,
    replies: { 202: { description: 'the job', schema: JobRecord } },
    handle: async ({ params }, { jobs }) => {
      parseCid(params.cid)
      return jobs.submit('make-public', { cid: params.cid })
    },
  }),
]
