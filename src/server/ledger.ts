/**
 * Hot path: the replies that a server still owes, in the order in which it will send them. No allocation per debt.
 *
 * Postgres answers strictly in order, so the first debt says what the next reply must be. The replies to each message are described in
 * https://www.postgresql.org/docs/current/protocol-flow.html
 */

import { invariant } from '../base/invariant.ts'
import { BACKEND } from '../wire/types.ts'

/**
 * The message that was sent, which determines the reply that pays the debt. The order matters to comparisons: first the requests within a
 * batch, then the requests that end one, then what is not a request.
 */
export const DEBT = {
  parse: 1,
  bind: 2,
  describe: 3,
  execute: 4,
  close: 5,
  sync: 6,
  query: 7,
  functionCall: 8,
  /** CopyDone or CopyFail: owes no reply, but marks the point from which COPY IN no longer ignores Syncs. */
  copyEnd: 9,
  /** Not owed by the server: an answer of our own that waits for its turn. */
  ours: 10,
  /** A Close of ours for a statement that does not exist: once it is answered, no more answers to doubtful Syncs can come. */
  fence: 11,
} as const

const KIND = 0x0f
/** We sent the request, not the client: do not forward the reply. */
export const SWALLOW = 0x10
/** We made the request fail on purpose: the client gets `Effect.reply` in place of the server's error. */
export const REPLACE = 0x20
/** A simple query or a function call that was sent after extended requests, without a Sync in between. */
const WITHIN_BATCH = 0x40

/** What to do about a debt besides handling the reply itself. */
export interface Effect {
  /** With DEBT.ours: the answer. With REPLACE: the error. Otherwise null. */
  readonly reply: Buffer | null
  /** With DEBT.describe: called with the result of `rowShape`, with null if there are no rows, or with undefined if the shape is unknown. */
  described?(shape: string | null | undefined): void
  /** With DEBT.describe: called with the parameter types in bytes `start` to `end`, which are written as in a Parse. */
  told?(buffer: Buffer, start: number, end: number): void
  /**
   * With DEBT.bind, and with DEBT.parse if the parameter types are those of an earlier preparation: the schema version that the statement was
   * prepared for; undefined if it is unknown.
   */
  readonly version?: number
  /**
   * Takes back what was noted when the request was sent, because the request has failed or, if `wasSkipped`, because the server skipped it
   * after an earlier failure. `batch` is the number of the batch that it was sent in (see `Ledger.batch`).
   */
  undo(wasSkipped: boolean, batch: number): void
}

/** What to do with a reply. `nonsense`: it violates the protocol, or cannot be attributed to one request. */
export type Verdict = 'forward' | 'swallow' | 'replace' | 'nonsense'

/** The COPY on the server. `open`, `ended`: a COPY FROM STDIN before and after the client has ended it; `both`: a replication stream. */
export type Copy = 'none' | 'open' | 'ended' | 'both'

const FIRST_CAPACITY = 8

export class Ledger {
  #kinds = new Uint8Array(FIRST_CAPACITY)
  #effects: (Effect | null)[] = new Array(FIRST_CAPACITY).fill(null)
  #head = 0
  #count = 0
  /** A request has failed: Postgres skips everything until the next Sync, which has not been sent yet. */
  #skipsToSync = false
  /** Extended requests were sent, and nothing has ended their batch: whatever they began is still open on the server, answered or not. */
  #isBatchOpen = false
  /** Extended requests were sent after the last Sync: if one of them fails, Postgres skips everything after it, simple queries too. */
  #hasUnsynced = false
  /** How many Syncs were sent, and how many of them have been answered. */
  #syncsSent = 0
  #syncsAnswered = 0
  /** The same for all requests that are answered by a ReadyForQuery: Sync, Query, FunctionCall. */
  #readiesSent = 0
  #readiesAnswered = 0
  #copy: Copy = 'none'
  /** Syncs that were sent before the end of the COPY: the server ignores those that it reads as part of the COPY. */
  #copySyncs = 0
  /** Syncs that were sent within a COPY that then failed: the server answers those that it read after the failure; we cannot tell which. */
  #doubtfulSyncs = 0
  /** While Syncs are in doubt: the query or function call at the head has failed, so the next ReadyForQuery is its own. */
  #hasHeadFailed = false

  get isEmpty(): boolean {
    return this.#count === 0
  }

  get length(): number {
    return this.#count
  }

  get skipsToSync(): boolean {
    return this.#skipsToSync
  }

  get isBatchOpen(): boolean {
    return this.#isBatchOpen
  }

  get copy(): Copy {
    return this.#copy
  }

  /** The number of the batch that is being sent: how many Syncs were sent before it. */
  get batch(): number {
    return this.#syncsSent
  }

  /**
   * Whether a note about a request of that batch can be relied on (unless it was undone). That is so if the batch has been answered, and
   * also if it is the current batch, since a request that is sent now is skipped if an earlier one of the same batch fails. A batch in
   * between may have failed without our knowing it yet.
   */
  isSettled(batch: number): boolean {
    return batch === this.#syncsSent || batch < this.#syncsAnswered
  }

  /** How many ReadyForQuery messages were ever owed. */
  get readies(): number {
    return this.#readiesSent
  }

  /** How many of them have come, or were skipped. */
  get readiesGone(): number {
    return this.#readiesAnswered
  }

  /** Whether the first `readies` of them have come, or were skipped. */
  haveCome(readies: number): boolean {
    return readies <= this.#readiesAnswered
  }

  /** Whether everything that was sent up to the end of that batch has been answered. */
  isAnswered(batch: number): boolean {
    return batch < this.#syncsAnswered
  }

  /** Whether Postgres skips a message that is sent now if an earlier one, still unanswered, fails. */
  get mayBeSkipped(): boolean {
    return this.#hasUnsynced && this.#count > 0
  }

  /** Whether every Sync has been answered, so that no earlier batch can have failed without our knowing it. */
  get isAllSettled(): boolean {
    return this.#syncsSent === this.#syncsAnswered
  }

  /** Whether more ReadyForQuery messages may come than are owed: the answers to doubtful Syncs. */
  get isInDoubt(): boolean {
    return this.#doubtfulSyncs > 0
  }

  /** Whether more may come than is owed, while no reply is owed that would end the doubt. */
  get needsFence(): boolean {
    if (this.#doubtfulSyncs === 0 || this.#skipsToSync || this.#copy !== 'none') return false
    for (let index = 0; index < this.#count; index++) if (this.#kindAt(index) !== DEBT.ours) return false
    return true
  }

  /** Records that a fence is being sent. It becomes the first debt, since the answers of our own that are queued wait for its answer. */
  oweFence(): void {
    if (this.#count === this.#kinds.length) this.#grow()
    this.#head = (this.#head - 1) & (this.#kinds.length - 1)
    this.#kinds[this.#head] = DEBT.fence | SWALLOW
    this.#effects[this.#head] = null
    this.#count++
  }

  /** Whether a ReadyForQuery is owed, so that the transaction status may have changed since the last one. */
  get awaitsReady(): boolean {
    return this.#readiesAnswered < this.#readiesSent
  }

  /** Whether nothing is owed, no batch or COPY is open and nothing is in doubt, so that nothing sent before affects the next request. */
  get isClear(): boolean {
    return (
      this.#count === 0 &&
      !this.#isBatchOpen &&
      !this.#skipsToSync &&
      this.#copy === 'none' &&
      this.#doubtfulSyncs === 0
    )
  }

  /** Records the debt of a message that is being sent. Returns false if there will be no reply. */
  owe(debt: number, effect: Effect | null = null): boolean {
    if (this.#skipsToSync) {
      if ((debt & KIND) !== DEBT.sync) return false
      this.#skipsToSync = false
    } else if (this.#copy === 'open') {
      if (debt === DEBT.copyEnd) {
        this.#copy = 'ended'
        return false
      }
      // Postgres ignores a Sync in COPY IN mode, because libpq sends one right after Execute, and it arrives before the data.
      if (debt === DEBT.sync) {
        this.#copySyncs++
        return false
      }
      // A request within a COPY: if the server still reads COPY data, it ends the connection; if the COPY has failed there by now, it answers
      // the Syncs that follow the request. In neither case does it ignore them.
      if ((debt & KIND) <= DEBT.functionCall) this.#copy = 'ended'
    } else if (debt === DEBT.copyEnd && (this.#count === 0 || this.#copy === 'both')) return false
    const kind = debt & KIND
    let noted = debt
    if (kind <= DEBT.close) {
      this.#isBatchOpen = true
      this.#hasUnsynced = true
    } else if (kind <= DEBT.functionCall) {
      this.#isBatchOpen = false
      this.#readiesSent++
      if (this.#hasUnsynced && kind !== DEBT.sync) noted |= WITHIN_BATCH
    }
    if (kind === DEBT.sync) {
      this.#syncsSent++
      this.#hasUnsynced = false
    }
    this.#push(noted, effect)
    return true
  }

  /**
   * Handles the next reply (for a reply that is passed on in pieces, its last byte): pays the first debt if this reply completes its answer.
   */
  settle(reply: number): Verdict {
    if (this.#doubtfulSyncs > 0) return this.#settleInDoubt(reply)
    return this.#count === 0 ? 'nonsense' : this.#settleHead(reply)
  }

  #settleHead(reply: number): Verdict {
    const head = this.#kinds[this.#head] as number
    const kind = head & KIND
    switch (reply) {
      case BACKEND.parseComplete:
        return this.#pay(kind === DEBT.parse, head)
      case BACKEND.bindComplete:
        return this.#pay(kind === DEBT.bind, head)
      case BACKEND.closeComplete:
        return this.#pay(kind === DEBT.close || kind === DEBT.fence, head)
      case BACKEND.noData:
        return this.#pay(kind === DEBT.describe, head)
      case BACKEND.rowDescription:
        if (kind === DEBT.query) return 'forward'
        return this.#pay(kind === DEBT.describe, head)
      case BACKEND.commandComplete:
      case BACKEND.emptyQuery:
      case BACKEND.portalSuspended:
        this.#copy = 'none'
        this.#copySyncs = 0
        if (kind === DEBT.query) return 'forward'
        return this.#pay(kind === DEBT.execute, head)
      case BACKEND.readyForQuery:
        this.#copy = 'none'
        if (kind === DEBT.sync) this.#syncsAnswered++
        this.#readiesAnswered++
        return this.#pay(kind === DEBT.sync || kind === DEBT.query || kind === DEBT.functionCall, head)
      case BACKEND.copyIn:
        if (kind !== DEBT.query && kind !== DEBT.execute) return 'nonsense'
        this.#beginCopyIn()
        return 'forward'
      case BACKEND.copyBoth:
        if (kind !== DEBT.query && kind !== DEBT.execute) return 'nonsense'
        this.#copy = 'both'
        return 'forward'
      case BACKEND.copyOut:
        return kind === DEBT.query || kind === DEBT.execute ? 'forward' : 'nonsense'
      case BACKEND.functionCallResponse:
        return kind === DEBT.functionCall ? 'forward' : 'nonsense'
      case BACKEND.parameterDescription:
        if (kind !== DEBT.describe) return 'nonsense'
        return head & SWALLOW ? 'swallow' : 'forward'
      default:
        return 'nonsense'
    }
  }

  /**
   * Handles an ErrorResponse. In an extended batch Postgres skips everything up to the next Sync, so the replies expected before it will
   * never come: drops those debts and undoes their effects, the latest first.
   *
   * @param isCopyFail the error is the answer to a CopyFail, so the server has read all that was sent before it as part of the COPY
   */
  fail(isCopyFail = false): Verdict {
    if (this.#count === 0) return 'nonsense'
    this.#copy = 'none'
    // If Syncs of an earlier COPY are still in doubt, they have been answered by now, or never will be.
    this.#doubtfulSyncs = isCopyFail ? 0 : this.#copySyncs
    this.#copySyncs = 0
    const head = this.#kinds[this.#head] as number
    const kind = head & KIND
    this.#hasHeadFailed = kind === DEBT.query || kind === DEBT.functionCall
    if (this.#hasHeadFailed || kind === DEBT.sync) return 'forward'
    if (kind === DEBT.fence) return 'nonsense'
    // If the server had not read all those Syncs when the COPY failed, the first unread one has ended the skipping, and the requests behind
    // the COPY are answered. If it had, those requests are skipped. We cannot tell which.
    if (this.#doubtfulSyncs > 0 && this.#hasRequestsBehind()) return 'nonsense'
    this.#dropToSync()
    return head & REPLACE ? 'replace' : 'forward'
  }

  /** Whether the next reply answers a simple query, or is a part of the answer. */
  get isQueryNext(): boolean {
    return this.#count > 0 && ((this.#kinds[this.#head] as number) & KIND) === DEBT.query
  }

  /** Whether the next ReadyForQuery answers a simple query or a function call that was sent within a batch. */
  get isReadyWithinBatch(): boolean {
    return this.#count > 0 && ((this.#kinds[this.#head] as number) & WITHIN_BATCH) !== 0
  }

  /** Whether the next reply answers a Bind or a Describe, which may name a statement. */
  get isStatementNext(): boolean {
    const kind = this.#count === 0 ? 0 : (this.#kinds[this.#head] as number) & KIND
    return kind === DEBT.bind || kind === DEBT.describe
  }

  /** The effect of the first debt. */
  get headEffect(): Effect | null {
    return this.#count === 0 ? null : (this.#effects[this.#head] ?? null)
  }

  /**
   * Removes and returns the next answer of our own if it is its turn; otherwise returns null.
   *
   * @param isNextHere the next reply that the server owes has arrived and is about to be settled
   */
  takeOurs(isNextHere = false): Buffer | null {
    if (this.#count === 0 || (this.#kinds[this.#head] as number) !== DEBT.ours) return null
    if (this.#doubtfulSyncs > 0 && !isNextHere && this.#nextTells()) return null
    const effect = this.#effects[this.#head]
    this.#shift()
    return effect?.reply ?? null
  }

  /**
   * While Syncs are in doubt: whether the server's next reply will show if a doubtful Sync is answered before our own answer, so that ours
   * has to wait for it. Only the answer to a Sync shows nothing, because one ReadyForQuery looks like the other. If the server owes nothing,
   * a fence will be sent.
   */
  #nextTells(): boolean {
    for (let index = 0; index < this.#count; index++) {
      const kind = this.#kindAt(index) & KIND
      if (kind !== DEBT.ours && kind !== DEBT.copyEnd) return kind !== DEBT.sync
    }
    return true
  }

  /** The batch that has failed will be sent again: do not forward the answer to the Sync that ended it, which is the first debt now. */
  swallowSync(): void {
    invariant(this.#count > 0 && this.#kinds[this.#head] === DEBT.sync, 'no Sync is behind what has failed')
    this.#kinds[this.#head] = DEBT.sync | SWALLOW
  }

  /** The connection is gone, and no more replies will come: drops all debts and undoes their effects. */
  abandon(): void {
    this.#undoBack(this.#count)
    this.#count = 0
    this.#isBatchOpen = false
    this.#skipsToSync = false
    this.#copy = 'none'
    this.#copySyncs = 0
  }

  /**
   * A ReadyForQuery that arrives when another reply is due, or none, answers a doubtful Sync. (If the answer to a Sync is due, it does not
   * matter which of the two Syncs this one answers.) Any other reply answers a request that was sent after all doubtful Syncs, which ends
   * the doubt.
   */
  #settleInDoubt(reply: number): Verdict {
    if (reply !== BACKEND.readyForQuery) {
      this.#doubtfulSyncs = 0
      return this.settle(reply)
    }
    const kind = this.#count === 0 ? 0 : (this.#kinds[this.#head] as number) & KIND
    const isDue = kind === DEBT.sync || this.#hasHeadFailed
    this.#hasHeadFailed = false
    if (isDue) return this.#settleHead(reply)
    this.#doubtfulSyncs--
    if (kind === 0) {
      this.#skipsToSync = false
      this.#isBatchOpen = false
    }
    return 'forward'
  }

  #pay(isRight: boolean, head: number): Verdict {
    if (!isRight) return 'nonsense'
    this.#shift()
    return head & SWALLOW ? 'swallow' : 'forward'
  }

  #push(debt: number, effect: Effect | null): void {
    if (this.#count === this.#kinds.length) this.#grow()
    const at = (this.#head + this.#count) & (this.#kinds.length - 1)
    this.#kinds[at] = debt
    this.#effects[at] = effect
    this.#count++
  }

  #shift(): void {
    const mask = this.#kinds.length - 1
    do {
      this.#effects[this.#head] = null
      this.#head = (this.#head + 1) & mask
      this.#count--
    } while (this.#count > 0 && this.#kinds[this.#head] === DEBT.copyEnd)
  }

  #grow(): void {
    const kinds = new Uint8Array(2 * this.#kinds.length)
    const effects: (Effect | null)[] = new Array(kinds.length).fill(null)
    for (let index = 0; index < this.#count; index++) {
      kinds[index] = this.#kindAt(index)
      effects[index] = this.#effectAt(index)
    }
    this.#kinds = kinds
    this.#effects = effects
    this.#head = 0
  }

  #kindAt(index: number): number {
    return this.#kinds[(this.#head + index) & (this.#kinds.length - 1)] as number
  }

  #effectAt(index: number): Effect | null {
    return this.#effects[(this.#head + index) & (this.#kinds.length - 1)] ?? null
  }

  /** Whether there are requests behind the first debt and before the next Sync. */
  #hasRequestsBehind(): boolean {
    for (let index = 1; index < this.#count; index++) {
      const kind = this.#kindAt(index) & KIND
      if (kind === DEBT.sync) return false
      if (kind <= DEBT.functionCall) return true
    }
    return false
  }

  #dropToSync(): void {
    let syncAt = 0
    for (; syncAt < this.#count; syncAt++) {
      const kind = this.#kindAt(syncAt) & KIND
      if (kind === DEBT.sync) break
      if (kind === DEBT.query || kind === DEBT.functionCall) this.#readiesAnswered++
    }
    this.#undoBack(syncAt)
    this.#skipsToSync = syncAt === this.#count
    for (let left = syncAt; left > 0; left--) {
      this.#effects[this.#head] = null
      this.#head = (this.#head + 1) & (this.#kinds.length - 1)
      this.#count--
    }
  }

  /** Undoes the first `count` debts, of which the first has failed. The latest comes first, so that what was noted twice ends as it began. */
  #undoBack(count: number): void {
    for (let index = count - 1; index >= 0; index--) this.#effectAt(index)?.undo(index > 0, this.#syncsAnswered)
  }

  /**
   * The server reads COPY data from now on. It reads Syncs that were sent after the command as part of the COPY and ignores them, so their
   * debts are dropped. That ends with the client's CopyDone or CopyFail, if it was sent already (its mark is dropped, too), or with the next
   * request; the debts behind those stay as they are.
   */
  #beginCopyIn(): void {
    this.#copy = 'open'
    this.#copySyncs = 0
    let kept = 1
    const mask = this.#kinds.length - 1
    // The Sync behind an Execute is ignored, so the batch is open again unless something later ends it.
    let isBatchOpen = (this.#kindAt(0) & KIND) === DEBT.execute
    for (let at = 1; at < this.#count; at++) {
      const kind = this.#kindAt(at) & KIND
      if (this.#copy === 'open' && kind === DEBT.sync) {
        this.#syncsAnswered++
        this.#readiesAnswered++
        this.#copySyncs++
        continue
      }
      const isEnd = this.#copy === 'open' && kind === DEBT.copyEnd
      if (isEnd || kind <= DEBT.functionCall) this.#copy = 'ended'
      if (isEnd) continue
      if (kind >= DEBT.sync && kind <= DEBT.functionCall) isBatchOpen = false
      else if (kind <= DEBT.close) isBatchOpen = true
      this.#kinds[(this.#head + kept) & mask] = this.#kindAt(at)
      this.#effects[(this.#head + kept) & mask] = this.#effectAt(at)
      kept++
    }
    for (let index = kept; index < this.#count; index++) this.#effects[(this.#head + index) & mask] = null
    this.#count = kept
    this.#isBatchOpen = isBatchOpen
  }
}
