import { notFound } from '../errors.ts'
import { route, type Route } from '../route.ts'
import { Done } from '../schemas/common.ts'
import { JobParams as IdParams } from '../schemas/jobs.ts'
import { CreatedToken, CreateToken, TokenList } from '../schemas/node.ts'

export const tokenRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/tokens',
    operationId: 'listTokens',
    tag: 'tokens',
    access: 'admin',
    summary: 'Tokens, but for the root token',
    replies: { 200: { description: 'the tokens, without their secrets', schema: TokenList } },
    handle: async (_call, { tokens }) => ({ tokens: tokens.list() }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/tokens',
    operationId: 'createToken',
    tag: 'tokens',
    access: 'admin',
    summary: 'Create a token',
    body: CreateToken,
    replies: { 201: { description: 'the token, shown this once', schema: CreatedToken } },
    handle: async ({ body }, { tokens }) => tokens.create(body.name, body.scope),
  }),
  route({
    method: 'DELETE',
    path: '/api/v1/tokens/:id',
    operationId: 'revokeToken',
    tag: 'tokens',
    access: 'admin',
    summary: 'Revoke a token',
    params: IdParams,
    replies: { 200: { description: 'revoked; requests with it are refused from now on', schema: Done } },
    handle: async ({ params }, { tokens }) => {
      if (!(await tokens.revoke(params.id))) throw notFound('token', params.id)
      return {}
    },
  }),
]
