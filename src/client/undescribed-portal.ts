/**
 * Hot path: the portal that was bound last, if it is not known yet what the rows of its statement look like on the server. Some drivers (JDBC)
 * never describe a statement, only the first portal that they bind to it: then the rows are learned from that.
 */

import type { Effect } from '../server/ledger.ts'
import type { Server } from '../server/server.ts'
import type { Statement } from '../server/statement-registry.ts'
import type { ServerStatements } from '../server/statements.ts'
import { STATEMENT } from '../wire/frontend.ts'
import { learnsShape } from './shapes.ts'

type Leased = Pick<Server, 'ledger' | 'statements'>

export class UndescribedPortal {
  #statement: Statement | null = null
  #name = ''

  leaseBegins(): void {
    this.#statement = null
  }

  /** A statement, or null for one that is not shared, is being bound to the portal with the name in bytes `start` to `end`. */
  bound(statement: Statement | null, buffer: Buffer, start: number, end: number, { statements, ledger }: Leased): void {
    this.#statement = statement !== null && statements.rowsOf(statement, ledger) === 'unknown' ? statement : null
    // Most portals have no name, and nothing is allocated for those.
    if (this.#statement) this.#name = start === end ? '' : buffer.toString('latin1', start, end)
  }

  /** A Describe is being sent, with this body: `S` or `P`, name, zero. Returns the effect to attach to its debt. */
  described(buffer: Buffer, start: number, end: number, statements: ServerStatements): Effect | null {
    const statement = this.#statement
    if (statement === null || buffer[start] === STATEMENT) return null
    this.#statement = null
    return buffer.toString('latin1', start + 1, end - 1) === this.#name ? learnsShape(statement, statements) : null
  }
}
