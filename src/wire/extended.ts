/** Decodes whole messages of the simple and extended query protocols, for code that answers them itself. */

import { PoolerError } from '../problems.ts'
import { HEADER_BYTES } from './frames.ts'
import { PORTAL, STATEMENT, textEnd } from './frontend.ts'
import type { Format } from './rows.ts'

export interface ParseMessage {
  readonly name: string
  readonly text: string
  /** The number of parameters for which the client gives a type. */
  readonly parameterTypes: number
}

export interface BindMessage {
  readonly portal: string
  readonly statement: string
  readonly parameters: number
  /** Result formats. Empty: text for all columns; one entry: for all columns; otherwise one for each column. */
  readonly formats: readonly Format[]
}

export interface ExecuteMessage {
  readonly portal: string
  /** 0: no limit. */
  readonly maxRows: number
}

/** The target of a Describe or Close. */
export interface Target {
  readonly kind: 'statement' | 'portal'
  readonly name: string
}

export function decodeQuery(frame: Buffer): string {
  const reader = new Reader(frame, 'Query')
  const text = reader.text()
  reader.finish()
  return text
}

export function decodeParse(frame: Buffer): ParseMessage {
  const reader = new Reader(frame, 'Parse')
  const name = reader.text()
  const text = reader.text()
  const parameterTypes = reader.int16()
  reader.skip(4 * parameterTypes)
  reader.finish()
  return { name, text, parameterTypes }
}

export function decodeBind(frame: Buffer): BindMessage {
  const reader = new Reader(frame, 'Bind')
  const portal = reader.text()
  const statement = reader.text()
  reader.skip(2 * reader.int16())
  const parameters = reader.int16()
  for (let left = parameters; left > 0; left--) reader.skip(Math.max(reader.int32(), 0))
  const formats: Format[] = []
  for (let left = reader.int16(); left > 0; left--) formats.push(reader.format())
  reader.finish()
  return { portal, statement, parameters, formats }
}

export function decodeExecute(frame: Buffer): ExecuteMessage {
  const reader = new Reader(frame, 'Execute')
  const portal = reader.text()
  // As in Postgres, a negative number means no limit, too.
  const maxRows = Math.max(reader.int32(), 0)
  reader.finish()
  return { portal, maxRows }
}

export function decodeTarget(frame: Buffer, what: 'Describe' | 'Close'): Target {
  const reader = new Reader(frame, what)
  const kind = reader.byte()
  if (kind !== STATEMENT && kind !== PORTAL) throw new PoolerError('bad-message', { what })
  const name = reader.text()
  reader.finish()
  return { kind: kind === STATEMENT ? 'statement' : 'portal', name }
}

/** Reads the body of one whole frame. Throws `bad-message` if the body is shorter or longer than its fields. */
class Reader {
  readonly #frame: Buffer
  readonly #what: string
  #at = HEADER_BYTES

  constructor(frame: Buffer, what: string) {
    this.#frame = frame
    this.#what = what
  }

  byte(): number {
    return this.#frame[this.#take(1)] as number
  }

  int16(): number {
    const value = this.#frame.readInt16BE(this.#take(2))
    if (value < 0) throw this.#broken()
    return value
  }

  int32(): number {
    return this.#frame.readInt32BE(this.#take(4))
  }

  format(): Format {
    const code = this.int16()
    if (code > 1) throw this.#broken()
    return code === 1 ? 'binary' : 'text'
  }

  text(): string {
    const end = textEnd(this.#frame, this.#at, this.#frame.length)
    if (end === -1) throw this.#broken()
    const start = this.#take(end + 1 - this.#at)
    return this.#frame.toString('utf8', start, end)
  }

  skip(bytes: number): void {
    this.#take(bytes)
  }

  finish(): void {
    if (this.#at !== this.#frame.length) throw this.#broken()
  }

  #take(bytes: number): number {
    const start = this.#at
    if (bytes > this.#frame.length - start) throw this.#broken()
    this.#at = start + bytes
    return start
  }

  #broken(): PoolerError {
    return new PoolerError('bad-message', { what: this.#what })
  }
}
