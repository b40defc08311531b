import type { Route } from './route.ts'
import { catalogRoutes } from './routes/catalog.ts'
import { contentRoutes } from './routes/content.ts'
import { documentRoutes } from './routes/document.ts'
import { eventRoutes } from './routes/events.ts'
import { jobRoutes } from './routes/jobs.ts'
import { messageRoutes } from './routes/messages.ts'
import { nameRoutes } from './routes/names.ts'
import { networkRoutes } from './routes/network.ts'
import { nodeRoutes } from './routes/node.ts'
import { privateRoutes } from './routes/private.ts'
import { policyRoutes } from './routes/policies.ts'
import { pinningRoutes } from './routes/pinning.ts'
import { storageRoutes } from './routes/storage.ts'
import { swarmRoutes } from './routes/swarm.ts'
import { tokenRoutes } from './routes/tokens.ts'
import { trustRoutes } from './routes/trust.ts'
import { vaultRoutes } from './routes/vault.ts'
import { vaultFileRoutes } from './routes/vault-files.ts'
import { vaultStateRoutes } from './routes/vault-state.ts'

/** Every route of the API: the one table behind the server, the document and the typed client. */
export const routes: readonly Route[] = [
  ...nodeRoutes,
  ...networkRoutes,
  ...trustRoutes,
  ...messageRoutes,
  ...swarmRoutes,
  ...jobRoutes,
  ...contentRoutes,
  ...nameRoutes,
  ...catalogRoutes,
  ...privateRoutes,
  ...pinningRoutes,
  ...vaultRoutes,
  ...vaultFileRoutes,
  ...vaultStateRoutes,
  ...storageRoutes,
  ...policyRoutes,
  ...eventRoutes,
  ...tokenRoutes,
  ...documentRoutes,
]
