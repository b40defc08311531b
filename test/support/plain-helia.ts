import { createHash } from 'node:crypto'
import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { type UnixFS, unixfs } from '@helia/unixfs'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createHeliaLight } from 'helia'
import type { CID } from 'multiformats/cid'
import { expect } from 'vitest'
import type { GetResult } from '../../src/content/types.ts'
import { type ContentNode, until } from './content-node.ts'

const PART_BYTES = 1024 * 1024

/** A Helia node as its packages make it, with Bitswap as it is by default; blocks in memory, loopback only. */
async function startHelia() {
  const helia = withBitswap(
    withLibp2pLight(createHeliaLight(), {
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      services: { identify: identify() },
    }),
  )
  await helia.start()
  return helia
}

/** Bytes that differ in every block, without being held anywhere. */
function* fileBytes(sizeBytes: number, seed: number): Generator<Uint8Array> {
  for (let at = 0; at < sizeBytes; at += PART_BYTES) {
    const part = Buffer.alloc(Math.min(PART_BYTES, sizeBytes - at), `${seed} `)
    part.writeDoubleBE(at)
    yield part
  }
}

async function hashOf(parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256')
  for await (const part of parts) hash.update(part)
  return hash.digest('hex')
}

const textOf = (file: number, seed: number): Buffer =>
  Buffer.from(`${seed}: file ${file} `.repeat(1 + (file % 50)))
const nameOf = (file: number): string => `file-${String(file).padStart(6, '0')}.txt`

async function heliaDirectory(fs: UnixFS, files: number, seed: number): Promise<CID> {
  let root: CID | undefined
  async function* candidates(): AsyncGenerator<{ path: string; content: Uint8Array }> {
    for (let file = 0; file < files; file += 1) yield { path: nameOf(file), content: textOf(file, seed) }
  }
  for await (const entry of fs.addAll(candidates(), { wrapWithDirectory: true })) root = entry.cid
  return root!
}

export interface Sizes {
  fileBytes: number
  files: number
  timeoutMs: number
}

/**
 * A file and a directory from a plain Helia node to `node`, which has no other source, and others from `node` to a plain Helia
 * node; everything is compared. `node` must ask IPFS.
 */
export async function exchangeWithHelia(node: ContentNode, sizes: Sizes): Promise<void> {
  const signal = AbortSignal.timeout(sizes.timeoutMs)
  const helia = await startHelia()
  const fs = unixfs(helia)
  /** To make a gigabyte of blocks keeps the event loop so busy that connections may not survive it. */
  const connect = async (): Promise<void> => {
    await helia.libp2p.dial(node.libp2p.getMultiaddrs(), { signal })
    await until(() => node.libp2p.getPeers().some((peer) => peer.equals(helia.libp2p.peerId)))
  }
  try {
    // From Helia to the node.
    const theirs = {
      file: await fs.addByteStream(fileBytes(sizes.fileBytes, 1)),
      directory: await heliaDirectory(fs, sizes.files, 1),
    }
    await connect()
    for (const root of Object.values(theirs)) {
      const job = await node.jobs.submit('get', { address: root.toString() })
      const ended = await node.jobs.wait(job.id, signal)
      expect(ended.error).toBeNull()
      const { sources } = ended.result as GetResult
      expect(sources.map(({ peer }) => peer.split('/')[0])).toEqual(['ipfs'])
    }
    const offline = { signal, offline: true }
    expect(await hashOf(node.content.cat(theirs.file.toString(), offline))).toBe(
      await hashOf(fileBytes(sizes.fileBytes, 1)),
    )
    // A sharded directory has an order of its own.
    const listed = new Set<string>()
    for await (const entry of node.content.ls(theirs.directory.toString(), offline)) listed.add(entry.name)
    expect(listed).toEqual(new Set(Array.from({ length: sizes.files }, (_, file) => nameOf(file))))
    for (const file of [0, Math.floor(sizes.files / 2), sizes.files - 1])
      expect(await hashOf(node.content.cat(`${theirs.directory}/${nameOf(file)}`, offline))).toBe(
        await hashOf([textOf(file, 1)]),
      )

    // From the node to Helia.
    const ours = await addToNode(node, sizes)
    await connect()
    expect(await hashOf(fs.cat(ours.file, { signal }))).toBe(await hashOf(fileBytes(sizes.fileBytes, 2)))
    let read = 0
    for await (const entry of fs.ls(ours.directory, { signal })) {
      const hash = await hashOf(fs.cat(entry.cid, { signal }))
      expect(hash).toBe(await hashOf([textOf(Number(/\d+/.exec(entry.name)?.[0]), 2)]))
      read += 1
    }
    expect(read).toBe(sizes.files)
  } finally {
    await helia.stop()
  }
}

/** By another Helia node's importer, straight into the store: what is tested is the exchange. */
async function addToNode(node: ContentNode, sizes: Sizes): Promise<{ file: CID; directory: CID }> {
  const fs = unixfs({ blockstore: node.storage.blocks.asBlockstore() } as Parameters<typeof unixfs>[0])
  return {
    file: await fs.addByteStream(fileBytes(sizes.fileBytes, 2)),
    directory: await heliaDirectory(fs, sizes.files, 2),
  }
}
