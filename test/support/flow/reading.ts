/** Decodes messages for tests: replies with pg-protocol, as an independent oracle; requests by hand, since it cannot read those. */

import type { BackendMessage } from 'pg-protocol/dist/messages.js'
import { Parser } from 'pg-protocol/dist/parser.js'
import type { Message } from './inbox.ts'

/** A message from a server, as a client sees it. */
export interface Reply extends Message {
  /** The message as pg-protocol reads it; null for the few types that it does not know. */
  readonly read: Record<string, unknown> | null
}

/** A message from a client, as a server sees it. */
export interface Request extends Message {
  /** The strings in it, such as names and texts. */
  readonly texts: readonly string[]
}

const UNKNOWN_TO_PG_PROTOCOL: Readonly<Record<string, string>> = {
  V: 'FunctionCallResponse',
  v: 'NegotiateProtocolVersion',
}

export function readReply(frame: Buffer): Reply {
  const bytes = Buffer.from(frame)
  const type = String.fromCharCode(bytes[0] as number)
  const unknown = UNKNOWN_TO_PG_PROTOCOL[type]
  if (unknown) return { name: unknown, shown: `${unknown}(${showBody(bytes)})`, bytes, read: null }
  let message: BackendMessage | null = null
  new Parser().parse(bytes, (read) => {
    message = read
  })
  if (message === null) throw new Error(`not a reply: ${bytes.toString('latin1')}`)
  const read = message as Record<string, unknown>
  const name = nameOf(read)
  const shown = showReply(name, read)
  return { name, shown, bytes, read }
}

function nameOf(read: Record<string, unknown>): string {
  const name = String(read['name'])
  if (name === 'error') return 'ErrorResponse'
  if (name === 'notice') return 'NoticeResponse'
  if (name === 'notification') return 'NotificationResponse'
  if (name === 'emptyQuery') return 'EmptyQueryResponse'
  if (name === 'replicationStart') return 'CopyBothResponse'
  return name.charAt(0).toUpperCase() + name.slice(1)
}

function showReply(name: string, read: Record<string, unknown>): string {
  switch (name) {
    case 'ErrorResponse':
      if (read['code'] === undefined) throw new Error(String(read['message']))
      return `ErrorResponse(${read['severity']} ${read['code']} ${read['message']})`
    case 'NoticeResponse':
      return `NoticeResponse(${read['message']})`
    case 'NotificationResponse':
      return `NotificationResponse(${read['channel']}, ${read['payload']})`
    case 'ReadyForQuery':
      return `ReadyForQuery(${read['status']})`
    case 'CommandComplete':
      return `CommandComplete(${read['text']})`
    case 'DataRow':
      return `DataRow(${(read['fields'] as unknown[]).map((cell) => shorten(String(cell))).join(', ')})`
    case 'RowDescription':
      return `RowDescription(${(read['fields'] as { name: string }[]).map((field) => field.name).join(', ')})`
    case 'ParameterDescription':
      return `ParameterDescription(${(read['dataTypeIDs'] as number[]).join(', ')})`
    case 'ParameterStatus':
      return `ParameterStatus(${read['parameterName']}=${read['parameterValue']})`
    case 'CopyData':
      return `CopyData(${shorten((read['chunk'] as Buffer).toString())})`
    default:
      return name
  }
}

const REQUEST_NAMES: Readonly<Record<string, string>> = {
  B: 'Bind',
  C: 'Close',
  c: 'CopyDone',
  d: 'CopyData',
  D: 'Describe',
  E: 'Execute',
  F: 'FunctionCall',
  f: 'CopyFail',
  H: 'Flush',
  P: 'Parse',
  p: 'Password',
  Q: 'Query',
  S: 'Sync',
  X: 'Terminate',
}

/** Decodes what clients send. The pooler's names for shared statements are shown as `#1`, `#2`… in the order in which they first occur. */
export class RequestReader {
  readonly #shared = new Map<string, string>()

  read(frame: Buffer): Request {
    const bytes = Buffer.from(frame)
    const type = String.fromCharCode(bytes[0] as number)
    const name = REQUEST_NAMES[type]
    if (name === undefined) throw new Error(`not a request: ${bytes.toString('latin1')}`)
    const texts = this.#textsIn(type, bytes)
    if (texts === null) return { name, shown: `${name}(broken)`, bytes, texts: [] }
    const shown = texts.length === 0 ? name : `${name}(${texts.map((text) => shorten(this.#call(text))).join(', ')})`
    return { name, shown, bytes, texts }
  }

  /** Returns null for a malformed message: the pooler passes on messages that it need not decode. */
  #textsIn(type: string, bytes: Buffer): string[] | null {
    try {
      return this.#textsOf(type, bytes)
    } catch {
      return null
    }
  }

  #call(text: string): string {
    if (!/^pgweir_\d+$/.test(text)) return text
    const known = this.#shared.get(text) ?? `#${this.#shared.size + 1}`
    this.#shared.set(text, known)
    return known
  }

  #textsOf(type: string, bytes: Buffer): string[] {
    const body = new BodyReader(bytes)
    switch (type) {
      case 'Q':
      case 'f':
        return [body.text()]
      case 'P':
        return [body.text(), body.text()]
      case 'B': {
        const names = [body.text(), body.text()]
        return [...names, ...body.values()]
      }
      case 'E': {
        const portal = body.text()
        const rows = body.int32()
        return rows === 0 ? [portal] : [portal, String(rows)]
      }
      case 'C':
      case 'D':
        return [body.letter() === 'S' ? 'statement' : 'portal', body.text()]
      case 'd':
      case 'p':
        return [body.rest()]
      case 'F':
        return [String(body.int32())]
      default:
        return []
    }
  }
}

class BodyReader {
  readonly #bytes: Buffer
  #at = 5

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  text(): string {
    const end = this.#bytes.indexOf(0, this.#at)
    if (end === -1) throw new Error(`a text without an end in ${this.#bytes.toString('latin1')}`)
    const text = this.#bytes.toString('utf8', this.#at, end)
    this.#at = end + 1
    return text
  }

  int16(): number {
    this.#at += 2
    return this.#bytes.readInt16BE(this.#at - 2)
  }

  int32(): number {
    this.#at += 4
    return this.#bytes.readInt32BE(this.#at - 4)
  }

  letter(): string {
    return String.fromCharCode(this.#bytes[this.#at++] as number)
  }

  rest(): string {
    return this.#bytes.toString('utf8', this.#at)
  }

  /** Reads the parameter values of a Bind. */
  values(): string[] {
    for (let formats = this.int16(); formats > 0; formats--) this.int16()
    return Array.from({ length: this.int16() }, () => {
      const length = this.int32()
      if (length === -1) return 'null'
      this.#at += length
      return this.#bytes.toString('utf8', this.#at - length, this.#at)
    })
  }
}

function showBody(bytes: Buffer): string {
  return bytes.toString('latin1', 5).replace(/[^\x20-\x7e]/g, '.')
}

const LONGEST_SHOWN = 200

function shorten(text: string): string {
  return text.length > LONGEST_SHOWN ? `${text.slice(0, 20)}… ${text.length} characters` : text
}
