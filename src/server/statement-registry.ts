/** Hot path: the prepared statements that the clients of one pool share. Each is kept once and found by its bytes. */

import { equalsBytes, hashBytes, sampleBytes } from '../base/bytes.ts'
import { deallocatedName, deallocatesAll, mayDeallocate } from '../sql/deallocate.ts'
import { type TextKind, textKind } from '../sql/text-kind.ts'
import type { Effect } from './ledger.ts'

/** The prefix of shared statements' names on servers. A client's own name with this prefix, if unknown here, is never sent to a server. */
export const SHARED_PREFIX = 'pgweir_'

/** One text with its parameter types. */
export class Statement {
  /** Its name on servers. */
  readonly name: Buffer
  /** The part of its Parse after the name: text, zero, parameter types. */
  readonly body: Buffer
  /** What decides, besides the text, what it means, such as the search path and the role. Null if the statement must not be shared. */
  readonly meaning: string | null
  /** The schema version that it was made for; after a change of tables, clients that ask for the same text get another statement. */
  readonly version: number
  /** The effect of its Binds, from which the reader of the answer learns the version. */
  readonly bound: Effect
  /** Running it drops all statements that the session has prepared. */
  readonly deallocatesAll: boolean
  /** Running it drops the statement with this name; null for other texts. */
  readonly deallocates: string | null
  /** What clients were told of its rows (see `rowShape`; null: no rows); undefined until one has asked. */
  shape: string | null | undefined
  /** `body` with the parameter types that clients were told, of which their Parse may have left some to Postgres; null until one has asked. */
  #told: Buffer | null = null
  /** How many sessions and servers hold it; it is forgotten with the last one. */
  holders = 0
  /** Null until needed. */
  #kind: TextKind | null
  /** For the registry: its key in the table by hash, and the next statement with the same key. */
  readonly place: number
  next: Statement | null = null
  /** For the registry: its slot among the recent statements; -1 if it has none. */
  slot = -1

  constructor(id: number, body: Buffer, meaning: string | null, version: number, place: number, kind: TextKind | null) {
    this.name = Buffer.from(`${SHARED_PREFIX}${id}`)
    this.body = body
    this.meaning = meaning
    this.version = version
    this.bound = { reply: null, version, undo }
    this.place = place
    this.#kind = kind
    this.deallocatesAll = deallocatesAll(body, 0, body.length)
    this.deallocates = mayDeallocate(body, 0, body.length, body.length) ? deallocatedName(this.text) : null
  }

  get isShared(): boolean {
    return this.meaning !== null
  }

  /** Whether it must not be shared, whatever the settings are. */
  get isNeverShared(): boolean {
    return !this.isShared && isNeverShared(this.kind)
  }

  get text(): string {
    return this.body.toString('utf8', 0, this.body.indexOf(0))
  }

  /**
   * What servers are sent in place of `body`. A client that knows the parameter types sends values in their binary format. A server that
   * prepares the statement after a change of tables would find other types, and take the values for something else.
   */
  get parsed(): Buffer {
    return this.#told ?? this.body
  }

  get isTold(): boolean {
    return this.#told !== null
  }

  /** A client is told the parameter types in bytes `start` to `end`, written as in a Parse. Returns false if other clients were told others. */
  tell(buffer: Buffer, start: number, end: number): boolean {
    const typesStart = this.body.indexOf(0) + 1
    if (this.#told !== null) return equalsBytes(buffer, start, end, this.#told.subarray(typesStart))
    const isGiven = equalsBytes(buffer, start, end, this.body.subarray(typesStart))
    this.#told = isGiven ? this.body : Buffer.concat([this.body.subarray(0, typesStart), buffer.subarray(start, end)])
    return true
  }

  get kind(): TextKind {
    this.#kind ??= textKind(this.body, 0, this.body.indexOf(0))
    return this.#kind
  }

  is(buffer: Buffer, start: number, end: number, meaning: string | null, version: number): boolean {
    return this.version === version && this.meaning === meaning && equalsBytes(buffer, start, end, this.body)
  }
}

/** Whether a text of this kind may mean something else each time that it is prepared. */
function isNeverShared(kind: TextKind): boolean {
  return kind === 'fleeting' || kind === 'doubtful'
}

/** A Bind that fails leaves nothing to take back. */
function undo(): void {}

let lastId = 0

/** The number of slots for recently requested statements, which are found by a sample of their bytes. A power of two. */
const RECENT = 1024

/** How many texts are remembered to tell which ones are asked for again: groups of a few each. The number of groups is a power of two. */
const ASKED_GROUPS = 1024
const ASKED_PER_GROUP = 4

/** The statements of one pool, each once. */
export class StatementRegistry {
  /** By `place`: the first statement of each chain. */
  readonly #firsts = new Map<number, Statement>()
  #size = 0
  #recent: (Statement | null)[] = []
  /** Hashes of texts. The hash selects the group; within a group the latest comes first, and a new one pushes the last one out. */
  #asked: Int32Array | null = null

  get size(): number {
    return this.#size
  }

  /**
   * Returns the statement with the bytes `start` to `end` (text, zero, parameter types), or null if it is not known.
   *
   * @param meaning what decides, besides the text, what it means: see `Statement.meaning`
   * @param version the schema version: a client that prepares the text after a change of tables must not be told what was true before
   */
  find(buffer: Buffer, start: number, end: number, meaning: string, version: number): Statement | null {
    // Nearly always the text was requested a moment ago. Texts are long, and hashing all of one costs more than comparing two.
    const slot = sampleBytes(buffer, start, end) & (RECENT - 1)
    const recent = this.#recent[slot]
    if (recent?.is(buffer, start, end, meaning, version)) return recent
    const place = placeOf(hashBytes(buffer, start, end), version)
    let statement = this.#firsts.get(place) ?? null
    while (statement !== null && !statement.is(buffer, start, end, meaning, version)) statement = statement.next
    if (statement !== null) this.#remember(statement, slot)
    return statement
  }

  /**
   * Returns the statement as `find` does, or makes it if it is not known. A text that may mean something else each time that it is prepared
   * always gets a new, unshared statement.
   *
   * @param hasStandardStrings a part of the meaning: see `textKind`
   */
  intern(
    buffer: Buffer,
    start: number,
    end: number,
    meaning: string,
    version: number,
    hasStandardStrings = false,
  ): Statement {
    const known = this.find(buffer, start, end, meaning, version)
    if (known !== null) return known
    const textEnd = buffer.indexOf(0, start)
    const kind = textKind(buffer, start, textEnd, hasStandardStrings)
    if (isNeverShared(kind)) return this.unshared(buffer, start, end, version, kind)
    const place = placeOf(hashBytes(buffer, start, end), version)
    const body = Buffer.from(buffer.subarray(start, end))
    return this.#add(new Statement(++lastId, body, meaning, version, place, kind))
  }

  /** Makes a statement that is not shared, because its meaning depends on the time, or on settings that are not known. */
  unshared(buffer: Buffer, start: number, end: number, version: number, kind: TextKind | null = null): Statement {
    return new Statement(++lastId, Buffer.from(buffer.subarray(start, end)), null, version, 0, kind)
  }

  /** Whether this was called with the same bytes before, as far as that is remembered. */
  isAskedAgain(buffer: Buffer, start: number, end: number): boolean {
    this.#asked ??= new Int32Array(ASKED_GROUPS * ASKED_PER_GROUP).fill(-1)
    const hash = hashBytes(buffer, start, end)
    const first = ASKED_PER_GROUP * (hash & (ASKED_GROUPS - 1))
    let carried = hash
    for (let at = first; at < first + ASKED_PER_GROUP; at++) {
      const there = this.#asked[at] as number
      this.#asked[at] = carried
      if (there === hash) return true
      carried = there
    }
    return false
  }

  hold(statement: Statement): void {
    // A failure may bring back a statement that was forgotten meanwhile: register it again, unless a twin has taken its place.
    if (statement.holders++ === 0 && statement.isShared && !this.#knows(statement)) this.#add(statement)
  }

  letGo(statement: Statement): void {
    if (--statement.holders === 0 && statement.isShared) this.#remove(statement)
  }

  /** Whether the statement, or one with the same content (a twin), is registered. */
  #knows({ place, body, meaning, version }: Statement): boolean {
    for (let other = this.#firsts.get(place) ?? null; other !== null; other = other.next)
      if (other.is(body, 0, body.length, meaning, version)) return true
    return false
  }

  #remember(statement: Statement, slot: number): void {
    if (this.#recent.length === 0) this.#recent = new Array(RECENT).fill(null)
    this.#recent[slot] = statement
    statement.slot = slot
  }

  #add(statement: Statement): Statement {
    statement.next = this.#firsts.get(statement.place) ?? null
    this.#firsts.set(statement.place, statement)
    this.#size++
    return statement
  }

  #remove(statement: Statement): void {
    const { place, slot } = statement
    if (this.#recent[slot] === statement) this.#recent[slot] = null
    const first = this.#firsts.get(place)
    if (first === statement) {
      if (statement.next) this.#firsts.set(place, statement.next)
      else this.#firsts.delete(place)
    } else {
      let before = first ?? null
      while (before !== null && before.next !== statement) before = before.next
      // A twin has taken its place.
      if (before === null) return
      before.next = statement.next
    }
    statement.next = null
    this.#size--
  }
}

/** Spreads the versions of one text over different places, since there may be many of them. */
function placeOf(hash: number, version: number): number {
  return (hash ^ Math.imul(version, 0x9e3779b1)) & 0x1fff_ffff
}
