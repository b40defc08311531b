/** The writer thread's operations on marks of private blocks. */
import type { Database } from 'better-sqlite3'
import type { Operations, WriterContext } from './operations.ts'

/** Marks a block, or renews its mark, with the generation that holds now. Within the caller's transaction. */
export function marker(db: Database): (mh: Uint8Array) => void {
  const insert = db.prepare<[Uint8Array]>(
    `INSERT INTO private_block (mh, generation) VALUES (?, (SELECT value FROM meta WHERE key = 'private_generation'))
     ON CONFLICT (mh) DO UPDATE SET generation = excluded.generation WHERE generation <> excluded.generation`,
  )
  return (mh) => {
    insert.run(mh)
  }
}

export function markOperations(db: Database, context: WriterContext): Operations {
  const bump = db.prepare("UPDATE meta SET value = value + 1 WHERE key = 'private_generation'")
  const drop = db.prepare<[Uint8Array]>(
    `DELETE FROM private_block
     WHERE mh = ? AND generation < (SELECT value FROM meta WHERE key = 'private_generation')`,
  )
  const addRoot = db.prepare<[Uint8Array, number]>(
    'INSERT INTO private_root (cid, created_ms) VALUES (?, ?) ON CONFLICT DO NOTHING',
  )
  const removeRoot = db.prepare<[Uint8Array]>('DELETE FROM private_root WHERE cid = ?')

  return {
    'marks.begin'(): void {
      context.commit(() => bump.run())
    },

    /** At most as many as one transaction may take. */
    'marks.drop'(args: { mhs: Uint8Array[] }): void {
      context.commit(() => {
        for (const mh of args.mhs) drop.run(mh)
      })
    },

    'marks.root.add'(args: { cid: Uint8Array; nowMs: number }): void {
      context.commit(() => addRoot.run(args.cid, args.nowMs))
    },

    'marks.root.remove'(args: { cid: Uint8Array }): void {
      context.commit(() => removeRoot.run(args.cid))
    },
  }
}
