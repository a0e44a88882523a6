/** The texts of a client's unanswered requests, in order. Kept only while slow queries are logged. */

import { HEADER_BYTES } from '../wire/frames.ts'
import { textEnd } from '../wire/frontend.ts'
import { FRONTEND } from '../wire/types.ts'

/** How much of a text is kept. */
const MAX_TEXT_BYTES = 4 * 1024

export class QueryTexts {
  /** One for each ReadyForQuery that is owed, and one for the batch that is not synced yet. */
  readonly #texts: string[] = []
  #isBatchNamed = false
  /** Returns the text of one of the client's statements; null if it is not known here. */
  readonly #textOf: (name: string) => string | null

  constructor(textOf: (name: string) => string | null) {
    this.#textOf = textOf
  }

  /** A message was sent. Of a large one, the part that has come lies between `start` and `end`. */
  note(type: number, buffer: Buffer, start: number, end: number): void {
    const from = start + HEADER_BYTES
    switch (type) {
      case FRONTEND.query:
        this.#texts.push(readText(buffer, from, end))
        break
      case FRONTEND.functionCall:
        this.#texts.push('(function call)')
        break
      case FRONTEND.parse:
        // The text follows the name.
        this.#nameBatch(() => readText(buffer, textEnd(buffer, from, end) + 1, end))
        break
      case FRONTEND.bind:
        this.#nameBatch(() => this.#boundText(buffer, from, end))
        break
      case FRONTEND.sync:
        this.#nameBatch(() => '')
        this.#isBatchNamed = false
    }
  }

  /** Returns the text of what was answered: for a batch, that of its first statement. */
  answered(isLast: boolean): string {
    const text = this.#texts.shift() ?? ''
    // A Sync during COPY gets no answer. Texts that are left when nothing is owed any more belong to requests like that.
    if (isLast) this.drop()
    return text
  }

  /** That many queries are skipped after a failure in the batch that is answered next, and will not be answered. */
  skipped(queries: number): void {
    this.#texts.splice(1, queries)
  }

  drop(): void {
    this.#texts.length = 0
    this.#isBatchNamed = false
  }

  #nameBatch(read: () => string): void {
    if (this.#isBatchNamed) return
    this.#isBatchNamed = true
    this.#texts.push(read())
  }

  #boundText(buffer: Buffer, from: number, end: number): string {
    const name = readText(buffer, textEnd(buffer, from, end) + 1, end)
    return this.#textOf(name) ?? `(statement ${name === '' ? 'without a name' : JSON.stringify(name)})`
  }
}

function readText(buffer: Buffer, start: number, end: number): string {
  const last = textEnd(buffer, start, end)
  return buffer.toString('utf8', start, Math.min(last === -1 ? end : last, start + MAX_TEXT_BYTES))
}
