import { decodeStatement, type SignedStatement } from '../../protocols/swarm/index.ts'
import type { StateDatabase } from '../storage/state/types.ts'
import type { Taken } from './roster.ts'

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
  /** Whoever was put out at this count of `outAt` or later was put out after the invitation was made. */
  made_before: number
}

/** Rows of a swarm in state.db. Methods that write are called within a transaction of the caller's. */
export interface SwarmStore {
  load(): StoredSwarm | undefined
  contacts(): string[]
  /** Replaces whatever swarm there was. */
  begin(key: Uint8Array, nowMs: number): void
  /** Those in `out` get the next count. */
  apply(change: Pick<Taken, 'added' | 'removed' | 'out'>): void
  /** The count at which a peer was last put out; undefined where it is not known, which is before every open invitation that has a count. */
  outAt(subject: Uint8Array): number | undefined
  setContacts(addresses: readonly string[]): void
  forget(): void
  /** Remembers an owner's key that is about to be written, for a swarm that is not there yet. `null`: the swarm is there. */
  plan(key: Uint8Array | null): void
  planned(): Uint8Array | undefined

  /** Newest first. */
  invitations(limit: number): InvitationRow[]
  invitation(digest: Uint8Array): InvitationRow | undefined
  countOpen(nowMs: number): number
  /** When the last open one expires; null where none is open. */
  openUntilMs(nowMs: number): number | null
  addInvitation(row: Omit<InvitationRow, 'used_ms' | 'used_by' | 'made_before'>, keep: number): void
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
    `INSERT INTO swarm_invitation (id, digest, name, standing, created_ms, expires_ms, made_before)
     VALUES (?, ?, ?, ?, ?, ?, (SELECT outs + 1 FROM swarm))`,
  )
  const selectUnused = db.prepare('SELECT 1 FROM swarm_invitation WHERE used_ms IS NULL LIMIT 1')
  const count = db.prepare('UPDATE swarm SET outs = outs + 1')
  const putOut = db.prepare('INSERT OR REPLACE INTO swarm_out (subject, at) SELECT ?, outs FROM swarm')
  const selectOut = db.prepare<[Uint8Array], number>('SELECT at FROM swarm_out WHERE subject = ?').pluck()
  // What was before every invitation that may still be used decides nothing any more.
  const forgetOuts = db.prepare(
    `DELETE FROM swarm_out WHERE NOT EXISTS
     (SELECT 1 FROM swarm_invitation WHERE used_ms IS NULL AND made_before <= swarm_out.at)`,
  )
  const selectPlanned = db.prepare<[], Buffer>('SELECT key FROM swarm_planned').pluck()
  const insertPlanned = db.prepare('INSERT OR REPLACE INTO swarm_planned (one, key) VALUES (1, ?)')
  const forgetInvitations = db.prepare(
    `DELETE FROM swarm_invitation WHERE NOT (${open}) AND id NOT IN
     (SELECT id FROM swarm_invitation ORDER BY created_ms DESC LIMIT ?)`,
  )
  const useInvitation = db.prepare('UPDATE swarm_invitation SET used_ms = ?, used_by = ? WHERE digest = ?')
  const withdraw = db.prepare(`DELETE FROM swarm_invitation WHERE id = ? AND ${open}`)

  function forget(): void {
    for (const table of ['swarm', 'swarm_statement', 'swarm_contact', 'swarm_invitation', 'swarm_out'])
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
    apply({ added, removed, out }) {
      for (const { id } of removed) deleteStatement.run(id)
      for (const { id, bytes } of added) insertStatement.run(id, bytes)
      // Where no invitation may still be used there is none that they come after.
      if (out.length === 0 || selectUnused.get() === undefined) return
      count.run()
      for (const subject of out) putOut.run(subject)
    },
    outAt: (subject) => selectOut.get(subject),
    setContacts(addresses) {
      db.exec('DELETE FROM swarm_contact')
      for (const address of addresses) insertContact.run(address)
    },
    forget,
    plan(key) {
      if (key === null) db.exec('DELETE FROM swarm_planned')
      else insertPlanned.run(key)
    },
    planned: () => selectPlanned.get(),
    invitations: (limit) => selectInvitations.all(limit),
    invitation: (digest) => selectInvitation.get(digest),
    countOpen: (nowMs) => countOpen.get(nowMs) ?? 0,
    openUntilMs: (nowMs) => lastOpen.get(nowMs) ?? null,
    addInvitation(row, keep) {
      insertInvitation.run(row.id, row.digest, row.name, row.standing, row.created_ms, row.expires_ms)
      forgetInvitations.run(row.created_ms, keep)
      forgetOuts.run()
    },
    useInvitation: (digest, peer, nowMs) => void useInvitation.run(nowMs, peer, digest),
    withdraw: (id, nowMs) => withdraw.run(id, nowMs).changes > 0,
  }
}
