import type { CatalogEntry as Entry, CatalogService } from '../../catalog/types.ts'
import type { ApiContext } from '../context.ts'
import { catalogAbsent } from '../errors.ts'
import { route, type Route } from '../route.ts'
import {
  CatalogPage,
  CatalogPublishers,
  CatalogQuery,
  CatalogSynced,
  PublishedEntry,
  PublishEntryBody,
  SyncBody,
  WithdrawBody,
  WithdrawnEntries,
} from '../schemas/catalog.ts'

/** The public catalogue: search, publish, withdraw. */
export const catalogRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/catalog',
    operationId: 'searchCatalog',
    tag: 'catalog',
    access: 'read',
    summary: 'Entries that match, the best first; without words the newest first',
    description:
      'Of publishers that are not trusted (trust.thresholds.catalogue) entries are counted and not shown.',
    query: CatalogQuery,
    replies: { 200: { description: 'a page', schema: CatalogPage } },
    handle: async ({ query }, context) => {
      const { entries, ...page } = catalogOf(context).search(query)
      return { ...page, entries: entries.map(present) }
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/catalog',
    operationId: 'publishEntry',
    tag: 'catalog',
    access: 'write',
    summary: 'Publish an entry',
    description:
      "Signed with the node's key and kept durably before it is answered. It reaches everybody in the network, and what was read cannot be taken back.",
    body: PublishEntryBody,
    replies: { 201: { description: 'the entry', schema: PublishedEntry } },
    handle: async ({ body, signal }, context) => {
      const { entry, neighbours } = await catalogOf(context).publish(body, { signal })
      return { entry: present(entry), neighbours }
    },
  }),
  route({
    method: 'POST',
    path: '/api/v1/catalog/withdraw',
    operationId: 'withdrawEntries',
    tag: 'catalog',
    access: 'write',
    summary: 'Withdraw own entries',
    description: 'Nobody shows or passes on an entry once its withdrawal has come.',
    body: WithdrawBody,
    replies: { 200: { description: 'what was withdrawn', schema: WithdrawnEntries } },
    handle: async ({ body, signal }, context) => catalogOf(context).withdraw(body.sequences, { signal }),
  }),
  route({
    method: 'GET',
    path: '/api/v1/catalog/publishers',
    operationId: 'listPublishers',
    tag: 'catalog',
    access: 'read',
    summary: 'Who publishes',
    replies: { 200: { description: 'those with most entries first', schema: CatalogPublishers } },
    handle: async (_call, context) => ({ publishers: catalogOf(context).publishers() }),
  }),
  route({
    method: 'POST',
    path: '/api/v1/catalog/sync',
    operationId: 'syncCatalog',
    tag: 'catalog',
    access: 'write',
    summary: 'Bring the catalogue up to date now',
    description:
      'With connected peers; with a publisher, by the head of its log in the DHT, and from the publisher itself where that is ahead. It happens by itself too, now and then.',
    body: SyncBody,
    replies: { 200: { description: 'what came and went', schema: CatalogSynced } },
    handle: async ({ body, signal }, context) => catalogOf(context).sync({ ...body, signal }),
  }),
]

/** @throws ERR_CATALOG_ABSENT */
function catalogOf({ catalog }: ApiContext): CatalogService {
  if (catalog === undefined) throw catalogAbsent()
  return catalog
}

function present({ tags, ...entry }: Entry): Omit<Entry, 'tags'> & { tags: string[] } {
  return { ...entry, tags: [...tags] }
}
