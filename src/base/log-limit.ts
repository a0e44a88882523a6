/** Keeps a flood of similar lines from hiding the others in the log, and from filling the disk. */

/** The most kinds of lines that are told apart at the same time. Lines of all other kinds are counted together, since peers choose some words. */
const MAX_KINDS = 1_000

interface Kind {
  /** The second for which lines are counted. */
  second: number
  written: number
  leftOut: number
  /** The last line that was left out. */
  sentence: string
}

export interface LeftOut {
  readonly count: number
  readonly sentence: string
}

export class LogLimit {
  /** How many lines of one kind are written per second; 0 means no limit. */
  perSecond: number
  readonly #kinds = new Map<string, Kind>()
  /** All kinds beyond MAX_KINDS. */
  readonly #others: Kind = { second: 0, written: 0, leftOut: 0, sentence: '' }
  #second = 0

  constructor(perSecond: number) {
    this.perSecond = perSecond
  }

  /**
   * Counts the line, and returns whether it may be written.
   *
   * @param name the kind of line, if the caller knows better than the sentence tells
   */
  passes(sentence: string, wallMs: number, name = kindOf(sentence)): boolean {
    if (this.perSecond === 0) return true
    const second = Math.floor(wallMs / 1000)
    const kind = this.#kinds.get(name) ?? this.#begin(name)
    // `leftOut` stays as it is: `takeLeftOut` still has to report it.
    if (kind.second !== second) {
      kind.second = second
      kind.written = 0
    }
    if (kind.written < this.perSecond) {
      kind.written++
      return true
    }
    kind.leftOut++
    kind.sentence = sentence
    return false
  }

  #begin(name: string): Kind {
    if (this.#kinds.size >= MAX_KINDS) return this.#others
    const kind = { second: 0, written: 0, leftOut: 0, sentence: '' }
    this.#kinds.set(name, kind)
    return kind
  }

  /** Returns the lines that were left out in seconds that are over and have not been reported yet. */
  takeLeftOut(wallMs: number): readonly LeftOut[] {
    const second = Math.floor(wallMs / 1000)
    if (second === this.#second || this.#kinds.size === 0) return NOTHING
    this.#second = second
    const told: LeftOut[] = []
    for (const kind of [...this.#kinds.values(), this.#others]) {
      if (kind.leftOut > 0) told.push({ count: kind.leftOut, sentence: kind.sentence })
      kind.leftOut = 0
    }
    for (const [name, kind] of this.#kinds) if (kind.second < second) this.#kinds.delete(name)
    return told
  }
}

const NOTHING: readonly LeftOut[] = []

/** Lines that differ only in numbers and in quoted text are of one kind. */
function kindOf(sentence: string): string {
  return sentence.replaceAll(/"[^"]*"|'[^']*'|\d+/g, '#')
}
