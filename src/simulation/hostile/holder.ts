import type { ChunkHolder, ColumnDraft, StoreOpen } from '../../../protocols/chunk/types.ts'

/** The same holder, each question asked of `own`: a part of it can be put in the place of its own. */
export function forwarding(own: ChunkHolder): ChunkHolder {
  return {
    capacity: (peer) => own.capacity(peer),
    begin: (open, peer) => own.begin(open, peer),
    have: (slabs) => own.have(slabs),
    index: (slab) => own.index(slab),
    lease: (slab) => own.lease(slab),
    piece: (slab, segment, options) => own.piece(slab, segment, options),
    prove: (slab, segment, leaf) => own.prove(slab, segment, leaf),
    renew: (lease, peer) => own.renew(lease, peer),
    remove: (deletion, peer) => own.remove(deletion, peer),
    tombstone: (slab) => own.tombstone(slab),
    tombstones: (after, limit) => own.tombstones(after, limit),
    claim: (slab, column, ttlMs, peer) => own.claim(slab, column, ttlMs, peer),
    hint: (hint, peer) => own.hint(hint, peer),
    locate: (query, peer, signal) => own.locate(query, peer, signal),
  }
}

/** The same holder; `onBegin` is told of each column before it comes, and what it returns once the column is kept. */
export function watched(
  own: ChunkHolder,
  onBegin: (open: StoreOpen, peer: string) => (bytes: number) => void,
): ChunkHolder {
  return {
    ...forwarding(own),
    async begin(open, peer) {
      const onStored = onBegin(open, peer)
      const draft = await own.begin(open, peer)
      let bytes = 0
      return {
        beginPiece: (pieceBytes) => draft.beginPiece(pieceBytes),
        write(part) {
          bytes += part.length
          return draft.write(part)
        },
        async commit(index) {
          const receipt = await draft.commit(index)
          onStored(bytes)
          return receipt
        },
        abort: () => draft.abort(),
      } satisfies ColumnDraft
    },
  }
}
