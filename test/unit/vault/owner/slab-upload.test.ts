import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { ed25519Signer, pieceRoot, signLease, slabIdOf } from '../../../../protocols/chunk/format/index.ts'
import type { EncodedSegment, SegmentCodec } from '../../../../src/vault/codec/index.ts'
import type { GroupHolders } from '../../../../src/vault/owner/put/group-holders.ts'
import { SlabUpload } from '../../../../src/vault/owner/put/slab-upload.ts'
import { Spool } from '../../../../src/vault/owner/put/spool.ts'
import { newStages } from '../../../../src/vault/owner/put/stages.ts'
import { quietLogger } from '../../../support/network.ts'

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
})

async function startUpload(signal: AbortSignal) {
  const folder = await mkdtemp(join(tmpdir(), 'p2pnode-slab-upload-'))
  folders.push(folder)
  const signer = ed25519Signer(new Uint8Array(32).fill(7))
  const slab = slabIdOf(signer.publicKey)
  const redundancy = { k: 2, n: 3 }
  const piece = new Uint8Array(1_024)
  const spool = await Spool.create(folder, slab, redundancy)
  // As where a put may be degraded and every holder went away.
  const group: Partial<GroupHolders> = { id: slab, holder: () => undefined, replace: async () => undefined }
  const upload = new SlabUpload({
    slab,
    signer,
    networkName: 'test',
    redundancy,
    group: group as GroupHolders,
    lease: signLease(signer, 'test', { untilMs: Date.now() + 1_000_000, sequence: 1 }).signed,
    maxColumnBytes: piece.length,
    spool,
    chunk: { store: () => Promise.reject(new Error('nobody is there')) },
    codec: {} as SegmentCodec,
    trust: { report() {} },
    stages: newStages(),
    log: quietLogger(),
    onHolder() {},
    onReplaced() {},
    signal,
  })
  const roots = Array.from({ length: 3 }, () => pieceRoot(piece))
  const stageMs = { compress: 0, seal: 0, encode: 0, hash: 0 }
  const segment: EncodedSegment = {
    mode: 0,
    sealedBytes: 2_048,
    pieces: [piece, piece, piece],
    roots,
    stageMs,
  }
  return { upload, spool, segment }
}

it('ends where it was cancelled before it began', async () => {
  const { upload, spool, segment } = await startUpload(AbortSignal.abort(new Error('cancelled')))
  await expect(upload.add(segment)).rejects.toThrow('cancelled')
  await upload.abort(new Error('cancelled'))
  await spool.remove()
})

it('never takes for stored what fewer holders keep than it takes to read', async () => {
  const { upload, spool, segment } = await startUpload(new AbortController().signal)
  await upload.add(segment)
  await expect(upload.finish()).rejects.toMatchObject({
    code: 'ERR_TOO_FEW_HOLDERS',
    details: { needed: 2, found: 0 },
  })
  await spool.remove()
})
