/** Keeps a flood of similar lines from hiding the others in the log, and from filling the disk. */

/** The most kinds of lines that are counted at the same time. Beyond that, all lines pass. */
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
  #second = 0

  constructor(perSecond: number) {
    this.perSecond = perSecond
  }

  /** Counts the line, and returns whether it may be written. */
  passes(sentence: string, wallMs: number): boolean {
    if (this.perSecond === 0) return true
    const second = Math.floor(wallMs / 1000)
    const name = kindOf(sentence)
    let kind = this.#kinds.get(name)
    if (kind === undefined) {
      if (this.#kinds.size >= MAX_KINDS) return true
      kind = { second, written: 0, leftOut: 0, sentence }
      this.#kinds.set(name, kind)
    }
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

  /** Returns the lines that were left out in seconds that are over and have not been reported yet. */
  takeLeftOut(wallMs: number): readonly LeftOut[] {
    const second = Math.floor(wallMs / 1000)
    if (second === this.#second || this.#kinds.size === 0) return NOTHING
    this.#second = second
    const told: LeftOut[] = []
    for (const [name, kind] of this.#kinds) {
      if (kind.leftOut > 0) told.push({ count: kind.leftOut, sentence: kind.sentence })
      kind.leftOut = 0
      if (kind.second < second) this.#kinds.delete(name)
    }
    return told
  }
}

const NOTHING: readonly LeftOut[] = []

/** Lines that differ only in numbers and in quoted text are of one kind. */
function kindOf(sentence: string): string {
  return sentence.replaceAll(/"[^"]*"|'[^']*'|\d+/g, '#')
}
