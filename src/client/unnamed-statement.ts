/** Hot path: the unnamed statement of one client, kept so that it can be bound in a later transaction, on any server. */

import type { Effect, Ledger } from '../server/ledger.ts'
import type { Statement } from '../server/statement-registry.ts'
import { deallocatesAll } from '../sql/deallocate.ts'
import { beginsLikeChange, mayMakeTable, type TextKind, textKind } from '../sql/text-kind.ts'
import { MAX_UNNAMED_STATEMENT_BYTES } from '../wire/limits.ts'

/** A larger buffer is freed when its statement is gone. */
const MAX_IDLE_BYTES = 4 * 1024

/** Longer texts are not looked at: telling the kind takes some milliseconds for each million letters, each time that the text is parsed. */
const MAX_TOLD_BYTES = 64 * 1024

const NONE: Former[] = []

/** What the client was told about a statement that is not shared. */
interface Told {
  /** The parameter types, written as in a Parse. */
  readonly types: Buffer
  /** The rows: see `rowShape`. */
  readonly shape: string | null
  /** The schema version of that time. */
  readonly version: number
}

/** The statement that the client had before a change that may have been skipped. */
interface Former {
  readonly body: Buffer | null
  readonly length: number
  readonly shared: Statement | null
  readonly told: Told | null
  readonly kind: TextKind | null
  readonly isUsed: boolean
  readonly serial: number
  readonly batch: number
  /** `was`: it existed. `skipped`: its own Parse was skipped, so it never existed. `failed`: its own Parse failed, and left no statement. */
  fate: 'was' | 'skipped' | 'failed'
}

export class UnnamedStatement {
  /** Identifies this client on servers, and keeps nothing of it alive when it has left. */
  readonly token = {}
  /** Text and parameter types, in the first `#length` bytes. `#length` is -1 if there is no statement, or it was too large to be kept. */
  #body: Buffer | null = null
  #length = -1
  #deallocatesAll = false
  #shared: Statement | null = null
  /** Null until the client has asked. */
  #told: Told | null = null
  /** Null until it is asked for. */
  #kind: TextKind | null = 'other'
  #isUsed = false
  /** Distinguishes this statement from all that the client had before. */
  #serial = 0
  #lastSerial = 0
  /** The last batch of this lease in which the statement was replaced or dropped (see `Ledger.batch`); -1 for none. */
  #batch = -1
  /** Statements that may still come back, the latest last. */
  #former: Former[] = NONE
  /** Size of their bodies. A body that would exceed MAX_UNNAMED_STATEMENT_BYTES in total is given up. */
  #formerBytes = 0
  /**
   * The effect of a message that cannot be skipped, because it is the first in its batch. If it is undone, the message itself has failed,
   * and had already dropped the statement.
   */
  readonly #failed: Effect = {
    reply: null,
    undo: (_, batch) => {
      if (this.#batch === batch) this.forget()
      else
        this.#settle(
          this.#former.find((former) => former.batch === batch),
          'failed',
        )
    },
  }

  get serial(): number {
    return this.#serial
  }

  /** The text of the query, if it is kept. */
  get text(): string | null {
    const body = this.#shared?.body ?? this.body
    return body === null ? null : body.toString('utf8', 0, Math.max(body.indexOf(0), 0))
  }

  /** What follows the name in a Parse; null if none is kept. Valid until the statement changes. */
  get body(): Buffer | null {
    return this.#body === null || this.#length < 0 ? null : this.#body.subarray(0, this.#length)
  }

  /** In place of a body: the shared statement that servers keep for this and other clients. */
  get shared(): Statement | null {
    return this.#shared
  }

  /** What the client was told about the statement, unless that is shared, or the client has not asked. */
  get told(): Told | null {
    return this.#told
  }

  /** `other` if the text is too long to be looked at: it may be anything. */
  get kind(): TextKind {
    if (this.#kind === null) {
      const isTold = this.#body !== null && this.#length <= MAX_TOLD_BYTES
      this.#kind = isTold ? textKind(this.#body as Buffer, 0, (this.#body as Buffer).indexOf(0)) : 'other'
    }
    return this.#kind
  }

  /** Looks at the first letters of the text only, which costs next to nothing. */
  get beginsLikeChange(): boolean {
    return this.#body !== null && this.#length >= 0 && beginsLikeChange(this.#body, 0, this.#length)
  }

  /** Whether the text may be one that makes a table. Cheaper than `kind`. */
  get mayMakeTable(): boolean {
    const isTold = this.#body !== null && this.#length >= 0 && this.#length <= MAX_TOLD_BYTES
    return isTold && mayMakeTable(this.#body as Buffer, 0, this.#length)
  }

  /** It has been described or bound since it was parsed, so the client may know what its rows look like. */
  get isUsed(): boolean {
    return this.#isUsed
  }

  /** Running it drops all statements that the session has prepared. */
  get deallocatesAll(): boolean {
    return this.#deallocatesAll && this.#length >= 0
  }

  /** A lease begins, and the server owes nothing. */
  leaseBegins(): void {
    this.#batch = -1
    this.#forgetFormer()
  }

  /** An earlier batch, which is not answered yet, may or may not have changed it. */
  isInDoubt(ledger: Ledger): boolean {
    return this.#batch >= 0 && !ledger.isSettled(this.#batch)
  }

  /** A simple query is being sent: Postgres drops the statement. */
  forget(): void {
    this.#length = -1
    this.#shared = null
    this.#told = null
    if (this.#body !== null && this.#body.length > MAX_IDLE_BYTES) this.#body = null
    this.#serial = ++this.#lastSerial
  }

  /**
   * A message that drops the statement is being sent, or will be when the statement that replaces it has been kept. Returns the effect of
   * that message: if Postgres skips the message because of an earlier failure, it keeps the statement.
   */
  drop(ledger: Ledger): Effect {
    if (ledger.isEmpty && this.#former.length > 0) this.#forgetFormer()
    const effect = ledger.mayBeSkipped ? this.#bringBack() : this.#failed
    this.#length = -1
    this.#shared = null
    this.#told = null
    this.#kind = 'other'
    this.#isUsed = false
    this.#serial = ++this.#lastSerial
    this.#batch = ledger.batch
    return effect
  }

  /** Puts the statement aside in case the change that is being made is skipped. Returns the effect that brings it back. */
  #bringBack(): Effect {
    const isKept = this.#length >= 0 && this.#formerBytes + this.#length <= MAX_UNNAMED_STATEMENT_BYTES
    const length = isKept ? this.#length : -1
    if (isKept) this.#formerBytes += length
    if (this.#former === NONE) this.#former = []
    const { serial, shared, told, isUsed } = this
    const kind = this.#kind
    const body = isKept ? this.#body : null
    this.#former.push({ body, length, shared, told, kind, isUsed, serial, batch: this.#batch, fate: 'was' })
    if (isKept) this.#body = null
    const next = this.#lastSerial + 1
    return {
      reply: null,
      undo: (wasSkipped) => {
        if (this.#serial !== next)
          this.#settle(
            this.#former.find((former) => former.serial === next),
            wasSkipped ? 'skipped' : 'failed',
          )
        else if (wasSkipped) this.#comeBack()
        else this.forget()
      },
    }
  }

  /** Notes what became of a former statement. It matters only if the later changes are undone too. */
  #settle(former: Former | undefined, fate: Former['fate']): void {
    if (former) former.fate = fate
  }

  #comeBack(): void {
    this.forget()
    let former = this.#former.pop()
    while (former?.fate === 'skipped') former = this.#former.pop()
    if (former === undefined || former.fate === 'failed') return
    this.#body = former.body
    this.#length = former.length
    this.#shared = former.shared
    this.#told = former.told
    this.#kind = former.kind
    this.#isUsed = former.isUsed
    this.#serial = former.serial
    this.#batch = former.batch
    this.#deallocatesAll = former.body !== null && deallocatesAll(former.body, 0, former.length)
  }

  #forgetFormer(): void {
    this.#former = NONE
    this.#formerBytes = 0
  }

  /** The statement in bytes `start` to `end` takes the place of the one that was dropped. Its kind is null if it is not known yet. */
  keep(buffer: Buffer, start: number, end: number, kind: TextKind | null): void {
    const length = end - start
    if (this.#body === null || this.#body.length < length) this.#body = Buffer.allocUnsafeSlow(Math.max(length, 256))
    buffer.copy(this.#body, 0, start, end)
    this.#length = length
    this.#deallocatesAll = deallocatesAll(buffer, start, end)
    this.#kind = kind
  }

  /** Returns the effect of a Describe of a statement that is not shared, on a server with this schema version: notes what the client is told. */
  learns(version: number): Effect {
    const serial = this.#serial
    let types: Buffer | null = null
    return {
      reply: null,
      told: (buffer, start, end) => {
        types = Buffer.from(buffer.subarray(start, end))
      },
      described: (shape) => {
        if (this.#serial === serial && types !== null && shape !== undefined) this.#told = { types, shape, version }
      },
      undo: () => {},
    }
  }

  /** A shared statement takes the place of the one that was dropped, or that was not shared. */
  share(statement: Statement): void {
    this.#told = null
    if (this.#body !== null && this.#body.length > MAX_IDLE_BYTES) this.#body = null
    this.#shared = statement
    this.#kind = statement.kind
  }

  /** Replaces the shared statement by one with the same text, for the present settings and tables. */
  renew(statement: Statement): void {
    this.#shared = statement
  }

  /** The same for a message that tells the client of other rows. Returns how to take it back if that message fails or is skipped. */
  renewFor(statement: Statement, { batch }: Ledger): () => void {
    const former = this.#shared
    this.#shared = statement
    this.#batch = batch
    return () => {
      if (this.#shared === statement) this.#shared = former
    }
  }

  /** It is being described or bound. */
  use(): void {
    this.#isUsed = true
  }

  /** Its first use has failed, and the client does not know that: it will be used again. */
  forgetUse(): void {
    this.#isUsed = false
  }
}
