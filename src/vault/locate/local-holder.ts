import type { PeerId } from '@libp2p/interface'
import { ChunkRefusedError, ChunkStatus, chunkInvalid } from '../../../protocols/chunk/errors.ts'
import { decodeIndex, verifyProof } from '../../../protocols/chunk/format/index.ts'
import type { Chunk, ChunkHolder } from '../../../protocols/chunk/types.ts'

/** What finding, reading and measuring need of the protocol. */
export type ReadingChunk = Pick<Chunk, 'peers' | 'onPeer' | 'have' | 'index' | 'fetch' | 'audit' | 'locate'>

export interface LocalHolderOptions {
  self: PeerId
  holder: Pick<ChunkHolder, 'have' | 'index' | 'piece' | 'prove'>
  networkName: string
}

/**
 * The protocol with this node itself among its peers: a node that holds a column of what it reads may need that very
 * column, and counts it when it measures.
 */
export function withLocalHolder(
  chunk: ReadingChunk,
  { self, holder, networkName }: LocalHolderOptions,
): ReadingChunk {
  return {
    peers: () => [...chunk.peers(), self],
    onPeer: (listener) => chunk.onPeer(listener),
    locate: (peer, query, signal) => chunk.locate(peer, query, signal),

    async have(peer, slabs, signal) {
      return peer.equals(self) ? holder.have(slabs) : chunk.have(peer, slabs, signal)
    },

    async index(peer, slab, signal) {
      if (!peer.equals(self)) return chunk.index(peer, slab, signal)
      const signed = await holder.index(slab)
      if (signed === undefined) throw new ChunkRefusedError(ChunkStatus.notHeld)
      return decodeIndex(signed, networkName)
    },

    async *fetch(peer, index, column, options) {
      if (!peer.equals(self)) {
        yield* chunk.fetch(peer, index, column, options)
        return
      }
      const { segments, signal } = options
      for (const segment of segments) {
        signal.throwIfAborted()
        const bytes = await holder.piece(index.slab, segment, { signal })
        if (bytes === undefined) throw new ChunkRefusedError(ChunkStatus.notHeld)
        yield { segment, bytes }
      }
    },

    async audit(peer, index, place, signal) {
      if (!peer.equals(self)) {
        await chunk.audit(peer, index, place, signal)
        return
      }
      const { segment, leaf, column } = place
      const proof = await holder.prove(index.slab, segment, leaf)
      if (proof === undefined) throw new ChunkRefusedError(ChunkStatus.notHeld)
      if (!verifyProof(index.root(segment, column), index.pieceBytes(segment), leaf, proof)) {
        throw chunkInvalid('a leaf that this node holds is not the one that its owner signed')
      }
    },
  }
}
