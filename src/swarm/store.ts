import { decodeStatement, type SignedStatement } from '../../protocols/swarm/index.ts'
import type { StateDatabase } from '../storage/state/types.ts'

export type SwarmState = Pick<StateDatabase, 'db' | 'write' | 'writeRelaxed'>

/** What is on disk of a swarm. */
export interface StoredSwarm {
  key: Uint8Array
  statements: SignedStatement[]
}

export interface InvitationRow {
  id: string
  digest: Buffer
  name: string
  standing: 'member' | 'admin'
  created_ms: number
  expires_ms: number
  used_ms: number | null
  used_by: string | null
}

/** Rows of a swarm in state.db. Methods that write are called within a transaction of the caller's. */
export interface SwarmStore {
  load(): StoredSwarm | undefined
  contacts(): string[]
  /** Replaces whatever swarm there was. */
  begin(key: Uint8Array, nowMs: number): void
  apply(change: { added: readonly SignedStatement[]; removed: readonly SignedStatement[] }): void
  setContacts(addresses: readonly string[]): void
  forget(): void

  /** Newest first. */
  invitations(limit: number): InvitationRow[]
  invitation(digest: Uint8Array): InvitationRow | undefined
  countOpen(nowMs: number): number
  /** When the last open one expires; null where none is open. */
  openUntilMs(nowMs: number): number | null
  addInvitation(row: Omit<InvitationRow, 'used_ms' | 'used_by'>, keep: number): void
  useInvitation(digest: Uint8Array, peer: string, nowMs: number): void
  /** False where there is no open one of this id. */
  withdraw(id: string, nowMs: number): boolean
}

export function openSwarmStore({ db }: SwarmState): SwarmStore {
  const selectKey = db.prepare<[], Buffer>('SELECT key FROM swarm').pluck()
  const selectStatements = db.prepare<[], Buffer>('SELECT bytes FROM swarm_statement').pluck()
  const insertSwarm = db.prepare('INSERT INTO swarm (one, key, since_ms) VALUES (1, ?, ?)')
  const insertStatement = db.prepare('INSERT OR IGNORE INTO swarm_statement (id, bytes) VALUES (?, ?)')
  const deleteStatement = db.prepare('DELETE FROM swarm_statement WHERE id = ?')
  const selectContacts = db.prepare<[], string>('SELECT address FROM swarm_contact ORDER BY address').pluck()
  const insertContact = db.prepare('INSERT OR IGNORE INTO swarm_contact (address) VALUES (?)')
  const open = 'used_ms IS NULL AND expires_ms > ?'
  const selectInvitations = db.prepare<[number], InvitationRow>(
    'SELECT * FROM swarm_invitation ORDER BY created_ms DESC, id LIMIT ?',
  )
  const selectInvitation = db.prepare<[Uint8Array], InvitationRow>(
    'SELECT * FROM swarm_invitation WHERE digest = ?',
  )
  const countOpen = db
    .prepare<[number], number>(`SELECT count(*) FROM swarm_invitation WHERE ${open}`)
    .pluck()
  const lastOpen = db
    .prepare<[number], number | null>(`SELECT max(expires_ms) FROM swarm_invitation WHERE ${open}`)
    .pluck()
  const insertInvitation = db.prepare(
    'INSERT INTO swarm_invitation (id, digest, name, standing, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const forgetInvitations = db.prepare(
    `DELETE FROM swarm_invitation WHERE NOT (${open}) AND id NOT IN
     (SELECT id FROM swarm_invitation ORDER BY created_ms DESC LIMIT ?)`,
  )
  const useInvitation = db.prepare('UPDATE swarm_invitation SET used_ms = ?, used_by = ? WHERE digest = ?')
  const withdraw = db.prepare(`DELETE FROM swarm_invitation WHERE id = ? AND ${open}`)

  function forget(): void {
    for (const table of ['swarm', 'swarm_statement', 'swarm_contact', 'swarm_invitation'])
      db.exec(`DELETE FROM ${table}`)
  }

  return {
    load() {
      const key = selectKey.get()
      // Their signatures were checked when they came.
      return key === undefined ? undefined : { key, statements: selectStatements.all().map(decodeStatement) }
    },
    contacts: () => selectContacts.all(),
    begin(key, nowMs) {
      forget()
      insertSwarm.run(key, nowMs)
    },
    apply({ added, removed }) {
      for (const { id } of removed) deleteStatement.run(id)
      for (const { id, bytes } of added) insertStatement.run(id, bytes)
    },
    setContacts(addresses) {
      db.exec('DELETE FROM swarm_contact')
      for (const address of addresses) insertContact.run(address)
    },
    forget,
    invitations: (limit) => selectInvitations.all(limit),
    invitation: (digest) => selectInvitation.get(digest),
    countOpen: (nowMs) => countOpen.get(nowMs) ?? 0,
    openUntilMs: (nowMs) => lastOpen.get(nowMs) ?? null,
    addInvitation(row, keep) {
      insertInvitation.run(row.id, row.digest, row.name, row.standing, row.created_ms, row.expires_ms)
      forgetInvitations.run(row.created_ms, keep)
    },
    useInvitation: (digest, peer, nowMs) => void useInvitation.run(nowMs, peer, digest),
    withdraw: (id, nowMs) => withdraw.run(id, nowMs).changes > 0,
  }
}
