import { createReadStream } from 'node:fs'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import { restoreHome } from '../storage/state/index.ts'

/**
 * Puts a backup back into a home that is empty or not there yet.
 *
 * @throws ERR_BACKUP_NOT_FOUND, ERR_HOME_NOT_EMPTY, ERR_BACKUP_INVALID
 */
export async function runRestore(options: {
  home: string
  file: string
  signal: AbortSignal
}): Promise<{ files: number; bytes: number }> {
  const source = createReadStream(options.file)
  try {
    return await restoreHome({ home: options.home, source, signal: options.signal })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new P2pnodeError('ERR_BACKUP_NOT_FOUND', 'not-found', `there is no file ${options.file}`, {
        cause: error,
      })
    }
    throw error
  } finally {
    source.destroy()
  }
}
