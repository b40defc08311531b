import { createHash, randomBytes } from 'node:crypto'
import { CID } from 'multiformats/cid'
import type { NodeServices } from '../node/index.ts'
import { jobFailed } from './errors.ts'
import { FILE_SIZES_BYTES } from './limits.ts'
import type { Member } from './network.ts'

/** A file of the simulation. Its bytes are not kept: what comes back is compared by hash. */
export interface SimulatedFile {
  readonly name: string
  readonly sizeBytes: number
  /** SHA-256 in hex. */
  readonly sha256: string
  /** A CID, or the link of a private file. */
  readonly address: string
  /** Members that have all of it in their stores; for a private file, whoever put it. */
  readonly holders: Set<Member>
}

export interface FileContent {
  name: string
  bytes: Uint8Array
  sha256: string
}

/** Random bytes of a size that goes round with the number of the file. */
export function contentOf(index: number): FileContent {
  return named(`file-${index}`, randomBytes(FILE_SIZES_BYTES[index % FILE_SIZES_BYTES.length] as number))
}

export function named(name: string, bytes: Uint8Array): FileContent {
  return { name, bytes, sha256: createHash('sha256').update(bytes).digest('hex') }
}

/** Runs a job to its end. @throws ERR_SIMULATION_JOB where it did not end well; the signal's reason */
export async function runJob<Result>(
  { jobs }: NodeServices,
  kind: string,
  params: unknown,
  signal: AbortSignal,
  bytes?: Uint8Array,
): Promise<Result> {
  const upload = bytes === undefined ? {} : { upload: { fingerprint: randomName(), size: bytes.length } }
  const job = await jobs.submit(kind, params, upload)
  if (bytes !== undefined) {
    const session = jobs.uploadOfJob(job.id)
    if (session === undefined) throw new Error(`the job ${job.id} takes no bytes`)
    await jobs.append(session.id, 0, once(bytes), signal)
    await jobs.complete(session.id, bytes.length)
  }
  const ended = await jobs.wait(job.id, signal)
  if (ended.state === 'done') return ended.result as Result
  throw jobFailed(ended.title, ended.error?.code ?? ended.state, ended.error?.message ?? 'did not end well')
}

/** Adds a public file on a node and announces it, so that nodes without a connection to it find it. */
export async function addFile(
  member: Member,
  services: NodeServices,
  index: number,
  signal: AbortSignal,
): Promise<SimulatedFile> {
  return addContent(member, services, contentOf(index), signal)
}

export async function addContent(
  member: Member,
  services: NodeServices,
  { name, bytes, sha256 }: FileContent,
  signal: AbortSignal,
): Promise<SimulatedFile> {
  const params = { source: 'file', name, profile: 'unixfs-v1-2025', pin: name, preserveMode: false }
  const { cid } = await runJob<{ cid: string }>(services, 'add', params, signal, bytes)
  await services.content.provide(CID.parse(cid), { signal })
  return { name, sizeBytes: bytes.length, sha256, address: cid, holders: new Set([member]) }
}

/** Puts a private file over the network. */
export async function putContent(
  member: Member,
  services: NodeServices,
  { name, bytes, sha256 }: FileContent,
  signal: AbortSignal,
): Promise<SimulatedFile> {
  const params = { source: 'file', fileName: name, name, allowDegraded: false, preserveMode: false }
  const { link } = await runJob<{ link: string }>(services, 'put', params, signal, bytes)
  return { name, sizeBytes: bytes.length, sha256, address: link, holders: new Set([member]) }
}

/** Reads a private file by its link. @returns its SHA-256 */
export function readFile(services: NodeServices, file: SimulatedFile, signal: AbortSignal): Promise<string> {
  return hashOf(services.vault.cat(file.address, { signal }))
}

/** Fetches a public file through the node, as `get` does, and reads it back from the node's own store. @returns its SHA-256 */
export async function fetchFile(
  services: NodeServices,
  file: SimulatedFile,
  signal: AbortSignal,
): Promise<string> {
  await runJob(services, 'get', { address: file.address }, signal)
  return hashOf(services.content.cat(file.address, { signal, offline: true }))
}

export async function hashOf(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of bytes) hash.update(chunk)
  return hash.digest('hex')
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

function randomName(): string {
  return randomBytes(16).toString('hex')
}
