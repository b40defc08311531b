import { createHash } from 'node:crypto'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import type {
  Health,
  Inspection,
  VaultEntry,
  VaultObjectSummary,
  VaultReadOptions,
  VaultResolved,
  VaultService,
} from '../../src/vault/types.ts'

/** In the form of real links, so that what hides links hides these. */
export const READ_LINK = `p2pnode:${'R'.repeat(97)}`
export const VERIFY_LINK = `p2pnode:${'V'.repeat(97)}`
const PEER = '12D3KooWGRUfLsyJUWbM7ytJbYfSVPHQjKjxZ3VZJ9JYvbhfBPhe'

interface FakeFile {
  bytes: Uint8Array
  mime: string | null
}

/** Private files in memory: one file or one tree behind one link. */
export class FakeVault implements VaultService {
  /** By path; the empty one is a file that is no tree. */
  readonly files = new Map<string, FakeFile>()
  name = 'holiday.mp4'
  objects: VaultObjectSummary[] = []
  /** What was imported last. */
  imported: { bytes: Uint8Array; passphrase: string | undefined } | undefined

  put(path: string, bytes: Uint8Array, mime: string | null = null): void {
    this.files.set(path, { bytes, mime })
  }

  async list(): Promise<VaultObjectSummary[]> {
    return this.objects
  }

  async resolve(link: string, { path = '' }: { path?: string }): Promise<VaultResolved> {
    this.#check(link)
    const isTree = !this.files.has('')
    const file = this.files.get(path)
    const isFolder = isTree && (path === '' || [...this.files.keys()].some((at) => at.startsWith(`${path}/`)))
    if (file === undefined && !isFolder)
      throw new P2pnodeError('ERR_VAULT_NOT_FOUND', 'not-found', `there is no ${path} in it`)
    return {
      link,
      name: path === '' ? this.name : (path.split('/').at(-1) ?? ''),
      kind: isTree ? 'tree' : 'file',
      type: file === undefined ? 'directory' : 'file',
      size: file?.bytes.length ?? 0,
      sha256: file === undefined ? null : createHash('sha256').update(file.bytes).digest('hex'),
      mime: file?.mime ?? null,
      createdAtMs: 1,
      redundancy: 'rs:4/8',
    }
  }

  async entries(link: string): Promise<VaultEntry[]> {
    this.#check(link)
    return [...this.files].map(([path, { bytes, mime }]) => ({
      path,
      type: 'file',
      size: bytes.length,
      mode: 0o644,
      sha256: null,
      mime,
      target: null,
    }))
  }

  async *cat(link: string, options: VaultReadOptions): AsyncIterable<Uint8Array> {
    this.#check(link)
    const bytes = this.files.get(options.path ?? '')?.bytes ?? new Uint8Array()
    const start = options.offset ?? 0
    const end = Math.min(bytes.length, start + (options.length ?? bytes.length))
    for (let at = start; at < end; at += 65_536) {
      options.signal.throwIfAborted()
      const chunk = bytes.subarray(at, Math.min(end, at + 65_536))
      const { sources } = options.statistics ?? { sources: [] }
      const source = sources[0] ?? { peer: PEER, pieces: 0, bytes: 0, failures: 0 }
      source.pieces += 1
      source.bytes += chunk.length
      sources[0] = source
      yield chunk
    }
  }

  async *tar(link: string, options: VaultReadOptions & { name: string }): AsyncIterable<Uint8Array> {
    this.#check(link)
    yield new TextEncoder().encode(`tar of ${options.name} ${options.path ?? ''}`)
  }

  async share(link: string, power: 'read' | 'verify' | 'owner'): Promise<string> {
    this.#check(link)
    return power === 'owner' ? 'owner-text' : power === 'verify' ? VERIFY_LINK : READ_LINK
  }

  async inspect(target: { link: string } | { manifest: Uint8Array }): Promise<Inspection> {
    const kind = 'link' in target ? 'link' : 'manifest'
    return { kind, power: 'read', slab: '00', name: null, size: null, redundancy: null, slabs: null }
  }

  async openManifest(bytes: Uint8Array): Promise<string> {
    if (bytes[0] !== 1) throw new P2pnodeError('ERR_VAULT_INVALID', 'verification', 'this is no manifest')
    return READ_LINK
  }

  async manifestFile(link: string): Promise<Uint8Array> {
    this.#check(link)
    return Uint8Array.of(1, 2, 3)
  }

  async health(link: string, { fresh }: { fresh?: boolean }): Promise<Health> {
    if (link !== VERIFY_LINK) this.#check(link)
    return {
      state: fresh === true ? 'healthy' : 'degraded',
      slabs: [{ id: '00', k: 4, n: 8, live: 8, lastAudit: null, margin: 4, columns: [] }],
    }
  }

  async recoveryPhrase(): Promise<string> {
    return 'abandon '.repeat(23).concat('art')
  }

  async exportState(passphrase: string | undefined): Promise<Uint8Array> {
    return new TextEncoder().encode(`state ${passphrase ?? 'plain'}`)
  }

  async importState(bytes: Uint8Array, passphrase: string | undefined): Promise<{ objects: number }> {
    this.imported = { bytes, passphrase }
    return { objects: 2 }
  }

  async recover(phrase: string): Promise<{ objects: number; version: number }> {
    if (!phrase.endsWith('art'))
      throw new P2pnodeError('ERR_PHRASE_INVALID', 'usage', 'not a recovery phrase')
    return { objects: 3, version: 7 }
  }

  report(): ReturnType<VaultService['report']> {
    return {
      objects: this.objects.length,
      health: { healthy: this.objects.length, degraded: 0, critical: 0, lost: 0, unknown: 0 },
      heldColumns: 1,
      heldBytes: 10,
      offeredBytes: 100,
      degradedSlabs: 0,
      soonestExpiryMs: null,
      problems: [],
    }
  }

  #check(link: string): void {
    if (link === VERIFY_LINK)
      throw new P2pnodeError('ERR_LINK_POWER', 'denied', 'a verify link reads nothing')
    if (link !== READ_LINK) throw new P2pnodeError('ERR_LINK_CHECKSUM', 'usage', 'the link is mistyped')
  }
}
