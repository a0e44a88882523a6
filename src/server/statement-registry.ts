/** Hot path: the prepared statements that the clients of one pool share, each once, found by their bytes. */

import { equalsBytes, hashBytes, sampleBytes } from '../base/bytes.ts'
import { deallocatesAll } from '../sql/deallocate.ts'
import { type TextKind, textKind } from '../sql/text-kind.ts'
import type { Effect } from './ledger.ts'

/** Names of shared statements on servers begin like this. A client's own unknown name that does so is never sent on. */
export const SHARED_PREFIX = 'pgweir_'

/** One text with its parameter types, wherever it came from. */
export class Statement {
  /** Its name on servers. */
  readonly name: Buffer
  /** The body of its Parse behind the name: text, zero, parameter types. */
  readonly body: Buffer
  /** What else decides what the text means: the search path, the role. Null if nobody else is to be given it. */
  readonly meaning: string | null
  /** The schema's version when a client asked for it; later askers get a statement of their own. */
  readonly version: number
  /** Hangs on a Bind of it, so that whoever reads the answer knows the version. */
  readonly bound: Effect
  /** To run it drops all that the session has prepared. */
  readonly deallocatesAll: boolean
  /** What clients were told of its rows; undefined until one has asked. */
  shape: string | null | undefined
  /** Sessions and servers that know it; it is forgotten with the last one. */
  holders = 0
  /** Null until somebody asks. */
  #kind: TextKind | null
  /** For the registry: where it stands, and the next one there. */
  readonly place: number
  next: Statement | null = null
  /** For the registry: where it was put to be found again soon; -1 for nowhere. */
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
  }

  get isShared(): boolean {
    return this.meaning !== null
  }

  /** Nobody else is given it, whatever is known of settings. */
  get isNeverShared(): boolean {
    return !this.isShared && isNeverShared(this.kind)
  }

  get text(): string {
    return this.body.toString('utf8', 0, this.body.indexOf(0))
  }

  get kind(): TextKind {
    this.#kind ??= textKind(this.body, 0, this.body.indexOf(0))
    return this.#kind
  }

  is(buffer: Buffer, start: number, end: number, meaning: string | null, version: number): boolean {
    return this.version === version && this.meaning === meaning && equalsBytes(buffer, start, end, this.body)
  }
}

/** The text may mean something else each time that it is prepared. */
function isNeverShared(kind: TextKind): boolean {
  return kind === 'fleeting' || kind === 'doubtful'
}

/** A Bind that fails leaves nothing to take back. */
function undo(): void {}

let lastId = 0

/** How many of the statements that were asked for last are found by a look at some of their bytes. A power of two. */
const RECENT = 1024

/** How many texts are remembered of those that were asked for once: groups of a few each. The number of groups is a power of two. */
const ASKED_GROUPS = 1024
const ASKED_PER_GROUP = 4

/** The statements of one pool, each once. */
export class StatementRegistry {
  /** By hash, each the first of those with the same. */
  readonly #firsts = new Map<number, Statement>()
  #size = 0
  #recent: (Statement | null)[] = []
  /** Hashes of texts, each in the group that it says itself, the latest first; the last one makes way for another. */
  #asked: Int32Array | null = null

  get size(): number {
    return this.#size
  }

  /**
   * The statement with the bytes `start` to `end` (text, zero, parameter types), if it is known.
   *
   * @param meaning what else decides what the text means: the search path, the role
   * @param version how often tables have changed: who prepares it after a change must not be told what was true before
   */
  find(buffer: Buffer, start: number, end: number, meaning: string, version: number): Statement | null {
    // Nearly always the text was asked for a moment ago, and texts are long: to see all of a text costs more than to compare two.
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
   * The same, made if it is not known. A text that means something else each time that it is prepared is never known.
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

  /** One that nobody else is given: what it means is decided by the time, or by settings that are not known yet. */
  unshared(buffer: Buffer, start: number, end: number, version: number, kind: TextKind | null = null): Statement {
    return new Statement(++lastId, Buffer.from(buffer.subarray(start, end)), null, version, 0, kind)
  }

  /** Whether somebody has asked about these bytes before, as far as it is remembered. */
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
    // It may have been forgotten meanwhile, when a failure brings it back; unless a twin has taken its place.
    if (statement.holders++ === 0 && statement.isShared && !this.#knows(statement)) this.#add(statement)
  }

  letGo(statement: Statement): void {
    if (--statement.holders === 0 && statement.isShared) this.#remove(statement)
  }

  /** It, or a twin. */
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

/** Versions of one text stand apart, since there may be many of them. */
function placeOf(hash: number, version: number): number {
  return (hash ^ Math.imul(version, 0x9e3779b1)) & 0x1fff_ffff
}
