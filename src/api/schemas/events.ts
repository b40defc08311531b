import { Type } from 'typebox'
import { CatalogEntry } from './catalog.ts'
import { Health } from './node.ts'
import { JobRecord } from './jobs.ts'
import { StorageUsage } from './storage.ts'

export const EventQuery = Type.Object(
  {
    topics: Type.Optional(
      Type.String({
        pattern: '^(jobs|peers|storage|content|catalog)(,(jobs|peers|storage|content|catalog))*$',
        description: 'comma-separated: jobs, peers, storage, content, catalog; without it all of them',
      }),
    ),
  },
  { additionalProperties: false },
)

/** `data` of the event `peer`. */
export const PeerEvent = Type.Object(
  { type: Type.Enum(['connected', 'disconnected'], { type: 'string' }), peer: Type.String() },
  { $id: 'PeerEvent' },
)

/** `data` of the event `announcement`: name, size and kind are what the author says. */
export const AnnouncementEvent = Type.Object(
  {
    cid: Type.String(),
    name: Type.String(),
    size: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
    kind: Type.Enum(['file', 'directory', 'other'], { type: 'string' }),
    author: Type.String({ description: 'the peer that signed it' }),
    atMs: Type.Integer(),
  },
  { $id: 'AnnouncementEvent' },
)

/** `data` of the event `status`. */
export const StatusEvent = Type.Object(
  { health: Health, problems: Type.Array(Type.String()), storage: StorageUsage },
  { $id: 'StatusEvent' },
)

/** `data` of the event `reset`: what happened since the id that the client named is not known any more. */
export const ResetEvent = Type.Object({ reason: Type.String() }, { $id: 'ResetEvent' })

/** What an event stream carries, by the event's name. */
export const EventData = Type.Object(
  {
    job: JobRecord,
    peer: PeerEvent,
    announcement: AnnouncementEvent,
    catalogEntry: CatalogEntry,
    status: StatusEvent,
    reset: ResetEvent,
  },
  { $id: 'EventData' },
)
