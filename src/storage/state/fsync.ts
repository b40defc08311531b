import { open } from 'node:fs/promises'
import { platform } from 'node:os'

/** Makes the names in a folder durable: a file that was created or renamed may otherwise be gone after power loss. */
export async function syncFolder(path: string): Promise<void> {
  // Windows knows no flush of a folder; NTFS keeps names in its own journal.
  if (platform() === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
