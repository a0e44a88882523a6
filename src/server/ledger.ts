/**
 * Hot path: the replies that a server still owes, in the order in which it will send them. No allocation per debt.
 *
 * Postgres answers strictly in order, so the first debt names what the next reply must be. What follows from each message is told in
 * https://www.postgresql.org/docs/current/protocol-flow.html
 */

import { invariant } from '../base/invariant.ts'
import { BACKEND } from '../wire/types.ts'

/** What was sent; it tells which reply pays the debt. First what belongs to a batch, then what ends one, then what is no request. */
export const DEBT = {
  parse: 1,
  bind: 2,
  describe: 3,
  execute: 4,
  close: 5,
  sync: 6,
  query: 7,
  functionCall: 8,
  /** CopyDone or CopyFail: owes nothing, but ends the stretch in which a COPY IN swallows Syncs. */
  copyEnd: 9,
  /** No debt of the server: an answer of our own that waits for its turn. */
  ours: 10,
  /** A Close of our own, of what there is not: with its answer, all doubtful Syncs that are answered at all have been. */
  fence: 11,
} as const

const KIND = 0x0f
/** The reply is for us: the client did not ask for it. */
export const SWALLOW = 0x10
/** The request was made to fail: the error goes to the client in our words (`Effect.reply`). */
export const REPLACE = 0x20
/** A simple query or a function call behind extended requests that no Sync has ended. */
const WITHIN_BATCH = 0x40

/** What hangs on a debt beyond the reply itself. */
export interface Effect {
  /** With DEBT.ours: the answer. With REPLACE: the error. */
  readonly reply: Buffer | null
  /** With DEBT.describe: told what the rows will look like, as `rowShape` writes it; null for none, undefined if it cannot be told. */
  described?(shape: string | null | undefined): void
  /** With DEBT.bind: the version of the schema that the statement was prepared for; unknown if it is left out. */
  readonly version?: number
  /**
   * Take back what was noted when the request was sent, in the batch of that number (see `Ledger.batch`): it failed itself, or
   * `wasSkipped` after a failure before it.
   */
  undo(wasSkipped: boolean, batch: number): void
}

/** What becomes of a reply. */
export type Verdict = 'forward' | 'swallow' | 'replace' | 'nonsense'

export type Copy = 'none' | 'open' | 'ended' | 'both'

const FIRST_CAPACITY = 8

export class Ledger {
  #kinds = new Uint8Array(FIRST_CAPACITY)
  #effects: (Effect | null)[] = new Array(FIRST_CAPACITY).fill(null)
  #head = 0
  #count = 0
  /** Postgres skips all that comes until the next Sync, which has not been sent yet. */
  #skipsToSync = false
  /** Extended requests were sent that no Sync has ended yet: whatever they began is still open on the server, answered or not. */
  #isBatchOpen = false
  /** Extended requests were sent behind the last Sync: if one of them fails, Postgres skips what comes behind it, simple queries too. */
  #hasUnsynced = false
  /** Syncs that were sent, and those of them that were answered: what was sent behind an unanswered one may have been skipped. */
  #syncsSent = 0
  #syncsAnswered = 0
  /** The same for all that is answered by a ReadyForQuery: Sync, Query, FunctionCall. */
  #readiesSent = 0
  #readiesAnswered = 0
  /** A COPY FROM STDIN: `open` until the client ended it, then `ended` until the server has answered; `both`: replication streams. */
  #copy: Copy = 'none'
  /** Syncs that were sent before its end: ignored, if the server reads them as part of the COPY. */
  #copySyncs = 0
  /** Such Syncs of a COPY that failed: the server answers those of them that it had not read by then, and nobody knows which. */
  #doubtfulSyncs = 0
  /** While there are such: the query that is answered next has failed, so that its ReadyForQuery comes now. */
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

  /** The batch that is being sent: how many Syncs went before it. */
  get batch(): number {
    return this.#syncsSent
  }

  /**
   * Whether what was sent in a batch can be relied on: it has been answered and not undone, or whatever is sent now shares its fate.
   * An earlier batch that is not answered yet may have failed, so that its end was skipped.
   */
  isSettled(batch: number): boolean {
    return batch === this.#syncsSent || batch < this.#syncsAnswered
  }

  /** How many ReadyForQuery were ever owed. */
  get readies(): number {
    return this.#readiesSent
  }

  /** How many of them have come, or were skipped. */
  get readiesGone(): number {
    return this.#readiesAnswered
  }

  /** So many of them have come, or were skipped. */
  haveCome(readies: number): boolean {
    return readies <= this.#readiesAnswered
  }

  /** All that was sent up to the end of a batch has been answered. */
  isAnswered(batch: number): boolean {
    return batch < this.#syncsAnswered
  }

  /** What is sent now is skipped if something fails that was sent before it and is not answered yet. */
  get mayBeSkipped(): boolean {
    return this.#hasUnsynced && this.#count > 0
  }

  /** There is no earlier batch that may have failed without our knowing it. */
  get isAllSettled(): boolean {
    return this.#syncsSent === this.#syncsAnswered
  }

  /** More may come than is owed. */
  get isInDoubt(): boolean {
    return this.#doubtfulSyncs > 0
  }

  /** The server owes nothing for certain, and yet more may come. */
  get needsFence(): boolean {
    if (this.#doubtfulSyncs === 0 || this.#skipsToSync || this.#copy !== 'none') return false
    for (let index = 0; index < this.#count; index++) if (this.#kindAt(index) !== DEBT.ours) return false
    return true
  }

  /** A fence is being sent: it is answered before all answers of our own that wait, since they wait for that. */
  oweFence(): void {
    if (this.#count === this.#kinds.length) this.#grow()
    this.#head = (this.#head - 1) & (this.#kinds.length - 1)
    this.#kinds[this.#head] = DEBT.fence | SWALLOW
    this.#effects[this.#head] = null
    this.#count++
  }

  /** A ReadyForQuery is owed, so that the transaction may by now be in another state than the last one said. */
  get awaitsReady(): boolean {
    return this.#readiesAnswered < this.#readiesSent
  }

  /** Nothing is owed, nothing is begun, nothing is in doubt: the next request meets a fresh server. */
  get isClear(): boolean {
    return (
      this.#count === 0 &&
      !this.#isBatchOpen &&
      !this.#skipsToSync &&
      this.#copy === 'none' &&
      this.#doubtfulSyncs === 0
    )
  }

  /**
   * Notes what a message that is being sent will be answered with. Returns false if it owes nothing: Postgres ignores it.
   */
  owe(debt: number, effect: Effect | null = null): boolean {
    if (this.#skipsToSync) {
      if ((debt & KIND) !== DEBT.sync) return false
      this.#skipsToSync = false
    } else if (this.#copy === 'open') {
      if (debt === DEBT.copyEnd) {
        this.#copy = 'ended'
        return false
      }
      // "Ignore Sync in COPY IN mode": what libpq sends behind Execute reaches the server before the data.
      if (debt === DEBT.sync) {
        this.#copySyncs++
        return false
      }
      // A server that still reads the COPY ends the connection because of a request; one that does not answers the Syncs behind that.
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
   * The next reply has come, or its last byte has: pays the first debt with it where it is the answer to that.
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
   * An error has come. In an extended batch Postgres skips everything up to the next Sync, so whatever was expected from there will
   * never come: those debts are dropped and what hung on them is undone, the latest first.
   */
  fail(): Verdict {
    if (this.#count === 0) return 'nonsense'
    this.#copy = 'none'
    // Syncs of an earlier COPY have been answered by now, or never will be.
    this.#doubtfulSyncs = this.#copySyncs
    this.#copySyncs = 0
    const head = this.#kinds[this.#head] as number
    const kind = head & KIND
    this.#hasHeadFailed = kind === DEBT.query || kind === DEBT.functionCall
    if (this.#hasHeadFailed || kind === DEBT.sync) return 'forward'
    if (kind === DEBT.fence) return 'nonsense'
    // A Sync that the server had not read has ended the skipping, and they are answered; or it had, and they are skipped: nobody knows.
    if (this.#doubtfulSyncs > 0 && this.#hasRequestsBehind()) return 'nonsense'
    this.#dropToSync()
    return head & REPLACE ? 'replace' : 'forward'
  }

  /** The next reply is that to a simple query, or a part of it. */
  get isQueryNext(): boolean {
    return this.#count > 0 && ((this.#kinds[this.#head] as number) & KIND) === DEBT.query
  }

  /** The next ReadyForQuery is that of a simple query or a function call in the midst of a batch. */
  get isReadyWithinBatch(): boolean {
    return this.#count > 0 && ((this.#kinds[this.#head] as number) & WITHIN_BATCH) !== 0
  }

  /** The next reply is that to something that a statement was named in. */
  get isStatementNext(): boolean {
    const kind = this.#count === 0 ? 0 : (this.#kinds[this.#head] as number) & KIND
    return kind === DEBT.bind || kind === DEBT.describe
  }

  /** What hangs on the first debt. */
  get headEffect(): Effect | null {
    return this.#count === 0 ? null : (this.#effects[this.#head] ?? null)
  }

  /**
   * The next answer of our own, if it is its turn; else null.
   *
   * @param isNextHere what the server owes next has come, and waits for us
   */
  takeOurs(isNextHere = false): Buffer | null {
    if (this.#count === 0 || (this.#kinds[this.#head] as number) !== DEBT.ours) return null
    if (this.#doubtfulSyncs > 0 && !isNextHere && this.#nextTells()) return null
    const effect = this.#effects[this.#head]
    this.#shift()
    return effect?.reply ?? null
  }

  /**
   * While Syncs are in doubt: the server's next answer tells whether it stands in front of our own or behind; if only that of a Sync is
   * due, it does not. Where none is due, a fence is on its way.
   */
  #nextTells(): boolean {
    for (let index = 0; index < this.#count; index++) {
      const kind = this.#kindAt(index) & KIND
      if (kind !== DEBT.ours && kind !== DEBT.copyEnd) return kind !== DEBT.sync
    }
    return true
  }

  /** What has failed is sent again: the answer to the Sync that ends it, which is the first debt now, is not the client's. */
  swallowSync(): void {
    invariant(this.#count > 0 && this.#kinds[this.#head] === DEBT.sync, 'no Sync is behind what has failed')
    this.#kinds[this.#head] = DEBT.sync | SWALLOW
  }

  /** The connection is gone: nothing will come any more. */
  abandon(): void {
    this.#undoBack(this.#count)
    this.#count = 0
    this.#isBatchOpen = false
    this.#skipsToSync = false
    this.#copy = 'none'
    this.#copySyncs = 0
  }

  /**
   * A ReadyForQuery where another reply is due, or none, answers a Sync that was taken for ignored and was not. (Where that of a Sync
   * is due, one is as good as the other.) Any other reply answers what was sent behind all those Syncs.
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

  /** Behind the first debt, and before the next Sync. */
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

  /** Undoes the first `count` debts, of which the first has failed, the latest first, so that what was noted twice ends as it began. */
  #undoBack(count: number): void {
    for (let index = count - 1; index >= 0; index--) this.#effectAt(index)?.undo(index > 0, this.#syncsAnswered)
  }

  /**
   * The server reads COPY data now. Syncs that were sent behind the command and in front of the data are read as part of it and
   * ignored. If the client has already sent all its data, the mark of its end is used up. Behind that, or a request, all is as ever.
   */
  #beginCopyIn(): void {
    this.#copy = 'open'
    this.#copySyncs = 0
    let kept = 1
    const mask = this.#kinds.length - 1
    // Its own Sync is gone, so the batch is open again unless something else ends it.
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
