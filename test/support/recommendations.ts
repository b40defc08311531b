import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey, Stream } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { trustExchange } from '../../protocols/trust/index.ts'
import type { Book, TrustExchange } from '../../protocols/trust/types.ts'
import type { Version } from '../../protocols/trust/versions.ts'
import type { Gossip } from '../../src/gossip/index.ts'
import { openState } from '../../src/storage/state/index.ts'
import {
  createRecommendations,
  recommendationsTopic,
  type RunningRecommendations,
} from '../../src/trust/recommend/index.ts'
import { quietLogger, startTestNode, type TestNode } from './network.ts'
import { THRESHOLDS } from './trust.ts'

export const TRUST_PROTOCOL = '/p2pnode/test/trust/1.1.0'

export interface Recommender extends TestNode {
  recommendations: RunningRecommendations
  exchange: TrustExchange
}

export interface RecommenderOptions {
  versions?: readonly Version[]
  /** In place of what the node would say. */
  book?: Partial<Book>
  config?: Partial<{ tell: boolean; hear: boolean }>
}

/** A node that tells and hears what is seen of others, as the daemon joins it. */
export async function startRecommender(options: RecommenderOptions = {}): Promise<Recommender> {
  const { versions, book, config } = options
  const privateKey: Ed25519PrivateKey = await generateKeyPair('Ed25519')
  const folder = await mkdtemp(join(tmpdir(), 'p2pnode-recommend-'))
  const told = await openState({ path: join(folder, 'told.db'), log: quietLogger() })
  const joined: { node?: TestNode } = {}
  const node = (): TestNode => {
    if (joined.node === undefined) throw new Error('asked before it runs')
    return joined.node
  }
  const late: Pick<Gossip, 'publish' | 'subscribe'> = {
    publish: (...message) => node().gossip.publish(...message),
    subscribe: (...handler) => node().gossip.subscribe(...handler),
  }
  const trust = {
    decide: (...question: Parameters<TestNode['trust']['decide']>) => node().trust.decide(...question),
    report: (...evidence: Parameters<TestNode['trust']['report']>) => node().trust.report(...evidence),
    seen: (peer: string) => node().trust.seen(peer),
    hear: (...all: Parameters<TestNode['trust']['hear']>) => node().trust.hear(...all),
    isHeard: (peer: string) => node().trust.isHeard(peer),
    onSeen: (...listener: Parameters<TestNode['trust']['onSeen']>) => node().trust.onSeen(...listener),
    onChange: (...listener: Parameters<TestNode['trust']['onChange']>) => node().trust.onChange(...listener),
  }
  const recommendations = createRecommendations({
    state: told,
    trust,
    identity: { privateKey, peerId: peerIdFromPrivateKey(privateKey) },
    networkName: 'test',
    config: { tell: true, hear: true, ...config },
    gossip: late,
    log: quietLogger(),
  })
  const started = await startTestNode({
    privateKey,
    thresholds: THRESHOLDS,
    topics: [recommendationsTopic()],
    init: {
      services: {
        trust: trustExchange({
          networkName: 'test',
          book: { ...recommendations.book, ...book },
          trust,
          log: quietLogger(),
          ...(versions === undefined ? {} : { versions }),
        }),
      },
    },
  })
  joined.node = started
  const { trust: exchange } = started.libp2p.services as unknown as { trust: TrustExchange }
  recommendations.start({
    peers: started.libp2p,
    exchange,
    addressOf: (peer) => started.libp2p.getConnections(peer).at(0)?.remoteAddr.toString(),
  })
  return {
    ...started,
    recommendations,
    exchange,
    async stop() {
      recommendations.stop()
      await started.stop()
      await told.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A stream of the protocol whose other end answers by itself. */
export async function openStream(from: TestNode, to: TestNode): Promise<Stream> {
  const [connection] = from.libp2p
    .getConnections()
    .filter(({ remotePeer }) => remotePeer.toString() === to.peer)
  if (connection === undefined) throw new Error('not connected')
  return connection.newStream(TRUST_PROTOCOL)
}
