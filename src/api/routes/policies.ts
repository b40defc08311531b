import { policiesUnavailable } from '../errors.ts'
import { route, type Route } from '../route.ts'
import { CopyList, PolicyBody, PolicyList, PolicyParams, PolicyRecord } from '../schemas/policies.ts'
import type { ApiContext } from '../context.ts'
import type { PinPolicies } from '../../content/policy/types.ts'

export const policyRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/pin-policies',
    operationId: 'listPinPolicies',
    tag: 'storage',
    access: 'read',
    summary: 'What is kept without being told each time',
    replies: { 200: { description: 'every policy, and what it does at the moment', schema: PolicyList } },
    handle: async (_call, context) => ({ policies: policiesOf(context).list() }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/pin-policies',
    operationId: 'addPinPolicy',
    tag: 'storage',
    access: 'write',
    summary: 'Keep by a rule',
    description:
      '`auto` pins what peers announce, `recent` keeps what was read lately, `copies` has other nodes keep copies.',
    body: PolicyBody,
    replies: { 201: { description: 'the policy', schema: PolicyRecord } },
    handle: async ({ body }, context) => policiesOf(context).add(body),
  }),
  route({
    method: 'DELETE',
    path: '/api/v1/pin-policies/:id',
    operationId: 'removePinPolicy',
    tag: 'storage',
    access: 'write',
    summary: 'End a policy',
    description: 'Pins that it made are removed, promises of others are given back.',
    params: PolicyParams,
    replies: { 200: { description: 'the policy that was', schema: PolicyRecord } },
    handle: async ({ params, signal }, context) => policiesOf(context).remove(params.id, { signal }),
  }),
  route({
    method: 'GET',
    path: '/api/v1/copies',
    operationId: 'listCopies',
    tag: 'storage',
    access: 'read',
    summary: 'Copies of own content that other nodes promised to keep',
    replies: { 200: { description: 'at most 1 000', schema: CopyList } },
    handle: async (_call, context) => ({ copies: policiesOf(context).copies() }),
  }),
]

function policiesOf({ policies }: ApiContext): PinPolicies {
  if (policies === undefined) throw policiesUnavailable()
  return policies
}
