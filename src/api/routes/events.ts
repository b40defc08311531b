import { route, type Route } from '../route.ts'
import { EventData, EventQuery } from '../schemas/events.ts'
import { HeldAnswer } from '../streaming.ts'
import type { EventTopic } from '../events/hub.ts'

export const eventRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/api/v1/events',
    operationId: 'events',
    tag: 'events',
    access: 'read',
    summary: 'What happens, as it happens',
    description:
      'Server-sent events `job`, `peer`, `announcement`, `catalogEntry` and `status`; the schema lists the data of each by name. `Last-Event-ID` goes on after that event; where it is no longer known, `reset` is sent first.',
    query: EventQuery,
    replies: { 200: { description: 'an event stream', type: 'text/event-stream', schema: EventData } },
    handle: async ({ query, rawHeaders }, { events }) => {
      const lastEventId = rawHeaders['last-event-id']
      const subscription = events.admit({
        ...(query.topics === undefined ? {} : { topics: query.topics.split(',') as EventTopic[] }),
        ...(typeof lastEventId === 'string' ? { lastEventId } : {}),
      })
      return new HeldAnswer(subscription)
    },
  }),
]
