import type { Libp2p } from '@libp2p/interface'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import type { Helia } from 'helia'
import { createHeliaLight } from 'helia'
import { sha512 } from 'multiformats/hashes/sha2'
import { type Bitswap, bitswap as bitswapProtocol } from '../../../protocols/bitswap/index.ts'
import type { Content } from '../../../protocols/content/types.ts'
import type { Storage } from '../../storage/types.ts'
import type { Bandwidth } from '../../../protocols/shared/bandwidth.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { ContentPolicy, Evidence, Policy } from '../../trust/contract.ts'
import { assertMayRead } from '../denied.ts'
import type { IpfsBlocks } from '../flow/ipfs.ts'
import type { PrivateContent } from '../private/private-content.ts'
import { NOTHING_PRIVATE } from '../private/types.ts'
import { contentBroker } from './broker.ts'
import { libp2pRouter } from './router.ts'

export interface ContentHeliaOptions {
  /** The node's own, created with `start: false`. */
  libp2p: Libp2p
  storage: Pick<Storage, 'blocks' | 'datastore'>
  trust: Policy & Evidence
  content: Pick<Content, 'fetchBlock'>
  /** What is private here: it is asked of peers of this network alone, and given to nobody else. */
  privacy?: PrivateContent
  /** What is neither asked for nor told of; by default nothing is. */
  denied?: ContentPolicy
  /** Asked before Bitswap's messages move; nothing is limited without it. */
  bandwidth?: Bandwidth
  log: Logger
}

export interface ContentHelia {
  /** For what is written against Helia; its pins and its collector must not be used, ours replace them. */
  readonly helia: Helia
  readonly libp2p: Libp2p
  readonly bitswap: Pick<Bitswap, 'statistics'>
  /** libp2p, then Helia (which checks the datastore), then Bitswap (which needs libp2p's handlers). */
  start(): Promise<void>
  /** Bitswap, then Helia. libp2p is its owner's to stop, after this. */
  stop(): Promise<void>
  /**
   * One verified block by Bitswap, from peers that are connected or that the DHT names; not stored.
   * @throws ERR_CONTENT_PRIVATE, ERR_CONTENT_DENIED, ERR_BITSWAP_BUSY, ERR_BITSWAP_STOPPED. Where nobody has it, it waits for the signal.
   */
  readonly fetchBlock: IpfsBlocks
}

/**
 * Helia over the node's own libp2p and stores, without any of the defaults that call out to the open Internet.
 *
 * libp2p is passed in rather than made by Helia's `withLibp2p`: only so do its services exist before anything starts, and
 * only so are the steps of start and stop the node's to order and to bound.
 */
export function createContentHelia(options: ContentHeliaOptions): ContentHelia {
  const { libp2p, storage, trust, content, bandwidth, privacy, denied } = options
  const { isPrivate } = privacy ?? NOTHING_PRIVATE
  const log = options.log.child({ part: 'helia' })
  const blockstore = storage.blocks.asBlockstore()
  const bitswap = bitswapProtocol({
    blocks: storage.blocks,
    isPrivate: (cid) => isPrivate(cid),
    trust,
    findProviders: (cid, lookUp) => libp2p.contentRouting.findProviders(cid, lookUp),
    bandwidth,
    log: options.log.child({ part: 'bitswap' }),
  })(libp2p)
  const helia = createHeliaLight({
    blockstore,
    datastore: storage.datastore,
    codecs: [dagCbor, dagJson],
    hashers: [sha512],
    routers: [libp2pRouter(libp2p, privacy, denied)],
    blockBrokers: [contentBroker(content, bitswap, privacy, denied)],
    logger: libp2p.logger,
    ...(libp2p.metrics === undefined ? {} : { metrics: libp2p.metrics }),
  })

  return {
    helia,
    libp2p,
    bitswap,

    async start() {
      await libp2p.start()
      await helia.start()
      await bitswap.start()
    },

    async stop() {
      try {
        await bitswap.stop()
      } catch (error) {
        log.warn({ error: String(error) }, 'bitswap did not stop cleanly')
      }
      await helia.stop()
    },

    async fetchBlock(cid, { signal }) {
      privacy?.assertPublic(cid)
      assertMayRead(cid, denied)
      return bitswap.want(cid, { signal })
    },
  }
}
