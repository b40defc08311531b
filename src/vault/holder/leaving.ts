import type { StateDatabase } from '../../storage/state/types.ts'

const LEAVING_KEY = 'vault.leaving'

/** Whether this node leaves: durable, so that after a crash it takes nothing before its job goes on. */
export class Leaving {
  readonly #state: Pick<StateDatabase, 'db' | 'writeRelaxed'>
  readonly #set
  readonly #unset
  #isLeaving: boolean

  constructor(state: Pick<StateDatabase, 'db' | 'writeRelaxed'>) {
    this.#state = state
    const { db } = state
    this.#set = db.prepare<[string]>(
      `INSERT INTO setting (key, value) VALUES (?, '1') ON CONFLICT DO NOTHING`,
    )
    this.#unset = db.prepare<[string]>('DELETE FROM setting WHERE key = ?')
    this.#isLeaving =
      db.prepare<[string]>('SELECT 1 FROM setting WHERE key = ?').get(LEAVING_KEY) !== undefined
  }

  get isLeaving(): boolean {
    return this.#isLeaving
  }

  set(isLeaving: boolean): void {
    if (this.#isLeaving === isLeaving) return
    this.#isLeaving = isLeaving
    this.#state.writeRelaxed(() => (isLeaving ? this.#set : this.#unset).run(LEAVING_KEY))
  }

  /** All is handed over: this process takes nothing more, and the next start is an ordinary one. */
  done(): void {
    this.#state.writeRelaxed(() => this.#unset.run(LEAVING_KEY))
  }
}
