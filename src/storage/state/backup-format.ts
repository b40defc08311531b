/**
 * The form of a backup: a tar stream of files (mode 0600), the last of which is the manifest. The manifest is JSON lines: a
 * header, then one line for each file before it in the same order, then a footer. It comes last because only then the
 * sizes and hashes are known; what ends without it is not whole.
 */
export const MANIFEST_NAME = 'manifest.jsonl'
export const BACKUP_FORMAT = 'p2pnode-backup'
export const BACKUP_VERSION = 3

/** Small files that are taken as they are, where they exist. */
export const PLAIN_FILES = [
  'config.yaml',
  'identity.key',
  'owner.key',
  'swarm-owner.key',
  'swarm.key',
  'api.token',
] as const
/** A plain file is read whole; none of them is ever near this. */
export const MAX_PLAIN_FILE_BYTES = 1024 * 1024
export const STATE_FILE = 'state.db'
export const BLOCKS_FILE = 'blocks.db'
/** The owner's .manifest files. */
export const MANIFESTS_FOLDER = 'manifests'

const MANIFEST_FILE = String.raw`manifests\/[^/\\\p{Cc}.][^/\\\p{Cc}]{0,200}\.manifest`
const BLOCK_FILE = String.raw`blocks\/[a-z2-7]{2}\/[a-z2-7]{4,200}`

/** Everything that a backup may hold; in particular no path that leads out of the folder. */
const ALLOWED_PATH = new RegExp(
  String.raw`^(config\.yaml|(identity|owner|swarm|swarm-owner)\.key|api\.token|state\.db|blocks\.db|${MANIFEST_FILE}|${BLOCK_FILE})$`,
  'u',
)

export interface BackupHeader {
  format: typeof BACKUP_FORMAT
  version: number
  createdAtMs: number
  includesBlocks: boolean
}

export interface BackupFile {
  path: string
  sizeBytes: number
  sha256: string
}

export interface BackupFooter {
  files: number
  bytes: number
  /** Block files that were gone when their turn came, because nothing needed them any more. */
  missingBlocks: number
}

export function isAllowedPath(path: string): boolean {
  return ALLOWED_PATH.test(path)
}

export function manifestLine(value: BackupHeader | BackupFile | BackupFooter): string {
  return `${JSON.stringify(value)}\n`
}
