/** The protocol state of one console client: its prepared statements, its portals, and whether it believes it is in a transaction. */

import { PoolerError } from '../problems.ts'
import type { Cell, Format } from '../wire/rows.ts'
import type { Answer, Plan, Talk } from './answer.ts'

/** Far more than any driver keeps on a console. */
export const MAX_STATEMENTS = 1_000
/** Few, because each portal may hold all rows of an answer. */
export const MAX_PORTALS = 16

export interface Portal {
  readonly plan: Plan
  /** One format per column. */
  readonly formats: readonly Format[]
  /** null until the plan has run. */
  answer: Answer | null
  /** The rows that have not been sent yet. */
  rows: Iterator<readonly Cell[]>
}

export class Conversation implements Talk {
  readonly #statements = new Map<string, Plan>()
  readonly #portals = new Map<string, Portal>()
  #isInTransaction = false

  /**
   * True from BEGIN to COMMIT or ROLLBACK. There is nothing to commit or roll back, but portals live until the end of the transaction, and
   * drivers look at the transaction status.
   */
  get isInTransaction(): boolean {
    return this.#isInTransaction
  }

  get preparedStatements(): number {
    return this.#statements.size - (this.#statements.has('') ? 1 : 0)
  }

  prepare(name: string, plan: Plan): void {
    if (name !== '' && this.#statements.has(name)) throw new PoolerError('statement-exists', { name })
    if (this.#statements.size >= MAX_STATEMENTS)
      throw new PoolerError('console-too-many', { what: 'prepared statements', limit: MAX_STATEMENTS })
    this.#statements.set(name, plan)
  }

  statement(name: string): Plan {
    const plan = this.#statements.get(name)
    if (!plan) throw new PoolerError('statement-unknown', { name })
    return plan
  }

  /** @param formats as in Bind: none means text, one applies to all columns */
  bind(name: string, plan: Plan, formats: readonly Format[]): void {
    const columns = plan.columns?.length ?? 0
    if (formats.length > 1 && formats.length !== columns)
      throw new PoolerError('console-formats', { formats: formats.length, columns })
    if (name !== '' && this.#portals.has(name)) throw new PoolerError('portal-exists', { name })
    if (this.#portals.size >= MAX_PORTALS)
      throw new PoolerError('console-too-many', { what: 'portals', limit: MAX_PORTALS })
    const ofColumn = (index: number) => formats[index] ?? formats[0] ?? 'text'
    this.#portals.set(name, {
      plan,
      formats: Array.from({ length: columns }, (_, index) => ofColumn(index)),
      answer: null,
      rows: [][Symbol.iterator](),
    })
  }

  portal(name: string): Portal {
    const portal = this.#portals.get(name)
    if (!portal) throw new PoolerError('portal-unknown', { name })
    return portal
  }

  /** Closing something that does not exist is no error. */
  close(kind: 'statement' | 'portal', name: string): void {
    if (kind === 'statement') this.#statements.delete(name)
    else this.#portals.delete(name)
  }

  /** DEALLOCATE; null means ALL. Unlike `close`, throws if the statement does not exist. */
  deallocate(name: string | null): void {
    if (name === null) this.#statements.clear()
    else if (!this.#statements.delete(name)) throw new PoolerError('statement-unknown', { name })
  }

  begin(): void {
    this.#isInTransaction = true
  }

  /** COMMIT or ROLLBACK. */
  end(): void {
    this.#isInTransaction = false
  }

  /** Called when a simple query begins, which destroys the unnamed statement and the unnamed portal. */
  forgetUnnamed(): void {
    this.#statements.delete('')
    this.#portals.delete('')
  }

  /** Called at Sync and at the end of a simple query: portals do not outlive their transaction. */
  endBatch(): void {
    if (!this.#isInTransaction) this.#portals.clear()
  }
}
