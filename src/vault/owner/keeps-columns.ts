import type { StateDatabase } from '../../storage/state/index.ts'

/** Whether a peer was sent columns of this node's owner and has not said that they are gone. A look into one index. */
export function keepsColumns({ db }: Pick<StateDatabase, 'db'>): (peer: string) => boolean {
  const any = db.prepare<[string]>('SELECT 1 FROM owner_column WHERE peer = ? AND gone = 0 LIMIT 1')
  return (peer) => any.get(peer) !== undefined
}
