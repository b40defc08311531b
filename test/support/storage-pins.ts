import { hash } from 'node:crypto'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { create } from 'multiformats/hashes/digest'
import { createMaintenance } from '../../src/storage/maintenance/index.ts'
import { createPins, type PinSet } from '../../src/storage/pins/index.ts'
import type { Maintenance } from '../../src/storage/types.ts'
import type { Logger } from '../../src/telemetry/types.ts'
import { type OpenedBlocks, openBlocks, silentLog, type TestBlock } from './storage-blocks.ts'

const RAW = 0x55

export function blockOf(codec: number, bytes: Uint8Array): TestBlock {
  return { cid: CID.createV1(codec, create(0x12, new Uint8Array(hash('sha256', bytes, 'buffer')))), bytes }
}

/** The same block for the same text. */
export function leaf(text: string): TestBlock {
  return blockOf(RAW, new TextEncoder().encode(text))
}

/** A block that links to `children` and differs by `salt`. */
export function cborNode(children: readonly CID[], salt: unknown = null): TestBlock {
  return blockOf(dagCbor.code, dagCbor.encode({ children, salt }))
}

export function pbNode(children: readonly CID[], salt = ''): TestBlock {
  const links = children.map((child, index) => ({
    Name: String(index).padStart(6, '0'),
    Tsize: 0,
    Hash: child,
  }))
  return blockOf(
    dagPb.code,
    dagPb.encode(dagPb.prepare({ Data: new TextEncoder().encode(salt), Links: links })),
  )
}

/** The same bytes, known as a block without links. */
export function asRaw(cid: CID): CID {
  return CID.createV1(RAW, cid.multihash)
}

export interface OpenedPins extends OpenedBlocks {
  pins: PinSet
  maintenance: Maintenance
}

/** Blocks, pins and maintenance, as the daemon puts them together. */
export async function openPins(
  home: string,
  options: Parameters<typeof openBlocks>[1] & { scrubRateBytesPerSecond?: number; log?: Logger } = {},
): Promise<OpenedPins> {
  const { store, writer, rotten } = await openBlocks(home, options)
  const log = options.log ?? silentLog
  const pins = createPins({ writer, blocks: store, log })
  const maintenance = createMaintenance({
    writer,
    blocks: store,
    pins,
    log,
    scrubRateBytesPerSecond: options.scrubRateBytesPerSecond ?? 0,
  })
  await pins.resume()
  return {
    store,
    writer,
    rotten,
    pins,
    maintenance,
    async [Symbol.asyncDispose]() {
      await pins.close()
      await store.close()
    },
  }
}
