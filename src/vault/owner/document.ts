import { ed25519Signer, slabIdOf } from '../../../protocols/chunk/format/index.ts'
import { Pacer } from '../../../protocols/shared/pacer.ts'
import { slabSeed } from '../codec/index.ts'
import { documentInvalid } from './errors.ts'
import { MAX_HOLDERS_A_SLAB, RENEW_PART, SLABS_A_MERGE } from './limits.ts'
import type { ObjectSecrets, OwnerObject, OwnerSlab, OwnerState } from './state.ts'

/*
 * The owner's state as text: one JSON array a line, bytes in base64. An object's slabs follow its line. Slabs come with the
 * seeds of their keys, so that whoever takes the text has the owner's power over these objects and over no others.
 */
type Line =
  | ['state', 1]
  | [
      'object',
      ObjectSecrets & {
        id: string
        version: number
        manifest: string
        createdMs: number
        state: 'stored' | 'degraded'
      },
    ]
  | ['slab', SlabLine]
  | ['deleted', string, number]

interface SlabLine {
  id: string
  position: number
  group: string
  k: number
  n: number
  columnBytes: number
  indexHash: string
  leaseUntilMs: number
  leaseSequence: number
  salt: string
  seed: string
  modes: string
  /** Column and peer of each known holder. */
  holders: [number, string][]
}

export interface ObjectDocument {
  object: Extract<Line, ['object', unknown]>[1]
  slabs: SlabLine[]
}

export interface StateDocument {
  objects: ObjectDocument[]
  deleted: { id: string; atMs: number }[]
}

const encode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
const decode = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'))

/** One object with its slabs, or all that are stored, with what was deleted. */
export async function writeDocument(
  state: OwnerState,
  ownerSecret: Uint8Array,
  only?: OwnerObject,
): Promise<Uint8Array> {
  const pacer = new Pacer()
  const lines: string[] = []
  const add = (line: Line) => lines.push(JSON.stringify(line))
  add(['state', 1])
  for (const object of only === undefined ? state.allObjects() : [only]) {
    if (object.state !== 'stored' && object.state !== 'degraded') continue
    const { manifest, ...rest } = object
    add(['object', { ...rest, state: object.state, manifest: encode(manifest) }])
    for (const slab of state.allSlabsOf(object.id)) {
      if (slab.state !== 'stored' || slab.indexHash === null) continue
      add(['slab', lineOf(state, ownerSecret, slab, slab.indexHash)])
      await pacer.breathe()
    }
  }
  if (only === undefined) {
    for (let after = ''; ; ) {
      const page = state.deleted(after)
      for (const { id, atMs } of page) add(['deleted', id, atMs])
      const last = page.at(-1)
      if (last === undefined) break
      after = last.id
    }
  }
  return Buffer.from(lines.join('\n'))
}

function lineOf(
  state: OwnerState,
  ownerSecret: Uint8Array,
  slab: OwnerSlab,
  indexHash: Uint8Array,
): SlabLine {
  const { position, k, n, columnBytes, leaseUntilMs, leaseSequence } = slab
  const holders = state.columnsOf(slab.id).filter(({ counts }) => counts)
  return {
    id: encode(slab.id),
    position,
    group: encode(slab.group),
    k,
    n,
    columnBytes,
    indexHash: encode(indexHash),
    leaseUntilMs,
    leaseSequence,
    salt: encode(slab.salt),
    seed: encode(slab.seed ?? slabSeed(ownerSecret, slab.salt)),
    modes: encode(slab.modes),
    holders: holders.map(({ column, peer }) => [column, peer]),
  }
}

/** @throws ERR_OWNER_STATE_INVALID */
export async function readDocument(bytes: Uint8Array): Promise<StateDocument> {
  const document: StateDocument = { objects: [], deleted: [] }
  const lines = linesOf(bytes)
  if (lines.next().value !== JSON.stringify(['state', 1])) throw documentInvalid('it is of another version')
  const pacer = new Pacer()
  for (const text of lines) {
    await pacer.breathe()
    const line = JSON.parse(text) as Line
    if (line[0] === 'object') document.objects.push({ object: line[1], slabs: [] })
    else if (line[0] === 'slab') document.objects.at(-1)?.slabs.push(line[1])
    else if (line[0] === 'deleted') document.deleted.push({ id: line[1], atMs: line[2] })
    else throw documentInvalid('it has a line that this version does not know')
  }
  return document
}

/** One after another: the text of a large state at once would be longer than strings may be. */
function* linesOf(bytes: Uint8Array): Generator<string, undefined> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at <= text.length; ) {
    const found = text.indexOf('\n', at)
    const end = found < 0 ? text.length : found
    yield text.toString('utf8', at, end)
    at = end + 1
  }
}

/**
 * Takes over what another machine knows: a union by object id. What either one deleted stays deleted; what one does not
 * know is no reason to delete anything. Returns how many objects are new here. `onDeleted` hears of each that was deleted there
 * and is listed here, also of those that were told before.
 */
export async function mergeDocument(
  state: OwnerState,
  ownerSecret: Uint8Array,
  { objects, deleted }: StateDocument,
  leaseMs: number,
  onDeleted: (object: OwnerObject) => Promise<void> = async () => {},
): Promise<number> {
  let added = 0
  for (const { id, atMs } of deleted) {
    const listed = state.object(id)
    await state.database.write(() => {
      state.noteDeleted(id, atMs)
      const known = state.object(id)
      if (known === undefined || known.state === 'deleting' || known.state === 'putting') return
      state.deleteAll(id)
      state.setObjectState(id, 'deleting')
    })
    if (listed !== undefined && listed.state !== 'putting') await onDeleted(listed)
  }
  for (const { object, slabs } of objects) {
    if (state.isDeleted(object.id)) continue
    const known = state.object(object.id)
    const isKnown = known !== undefined
    // The object comes with its last slabs: what a crash leaves of it before is slabs that the next merge knows already.
    for (let at = 0; at === 0 || at < slabs.length; at += SLABS_A_MERGE) {
      const some = slabs.slice(at, at + SLABS_A_MERGE)
      await state.database.write(() => {
        if (!isKnown && at + SLABS_A_MERGE >= slabs.length)
          state.insertObject({ ...object, manifest: decode(object.manifest) })
        for (const line of some) mergeSlab(state, ownerSecret, object.id, line, leaseMs)
      })
    }
    if (!isKnown) added += 1
    // The other machine has brought the columns that were missing.
    if (known?.state === 'degraded' && object.state === 'stored')
      await state.database.write(() => state.setObjectState(object.id, 'stored'))
  }
  return added
}

function mergeSlab(
  state: OwnerState,
  ownerSecret: Uint8Array,
  object: string,
  line: SlabLine,
  leaseMs: number,
): void {
  const id = decode(line.id)
  const salt = decode(line.salt)
  const seed = decode(line.seed)
  const known = state.slab(id)
  // Due at once: whoever knew of it before may be gone.
  const renewMs = Math.min(line.leaseUntilMs - leaseMs * (1 - RENEW_PART), Date.now())
  if (known === undefined) {
    if (Buffer.compare(slabIdOf(ed25519Signer(seed).publicKey), id) !== 0)
      throw documentInvalid('a key in it does not fit its slab')
    const isOwn = Buffer.compare(slabSeed(ownerSecret, salt), seed) === 0
    state.insertSlab({
      id,
      object,
      position: line.position,
      group: decode(line.group),
      state: 'stored',
      k: line.k,
      n: line.n,
      columnBytes: line.columnBytes,
      indexHash: decode(line.indexHash),
      leaseUntilMs: line.leaseUntilMs,
      leaseSequence: line.leaseSequence,
      renewMs,
      salt,
      modes: decode(line.modes),
      ...(isOwn ? {} : { seed }),
    })
  } else if (known.leaseSequence < line.leaseSequence) {
    state.setLease(id, { untilMs: line.leaseUntilMs, sequence: line.leaseSequence, renewMs })
  }
  const holders = new Set(state.columnsOf(id).map(({ peer }) => peer))
  for (const [column, peer] of line.holders.slice(0, MAX_HOLDERS_A_SLAB)) {
    if (!holders.has(peer)) state.addHolder(id, column, peer)
  }
}
