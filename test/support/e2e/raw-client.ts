/**
 * A client that sends exactly the bytes it is given and shows each reply as one line, for conversations that no driver holds. It does not use
 * `src/wire`, so that both cannot be wrong in the same way.
 */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { serialize } from 'pg-protocol'
import { until } from './until.ts'

export interface Reply {
  readonly type: string
  readonly body: Buffer
  /** Such as `DataRow 1|null`, `ErrorResponse 26000 prepared statement "x" does not exist` or `ReadyForQuery I`. */
  readonly line: string
}

export interface RawAddress {
  readonly host: string
  readonly port: number
}

export class RawClient {
  readonly socket: Socket
  /** Replies that have arrived and were not read yet. */
  readonly #replies: Reply[] = []
  #pending: Buffer = Buffer.alloc(0)
  #skipping: { readonly line: string; readonly type: string; left: number } | null = null
  #wake = () => {}
  hasEnded = false
  /** The settings that were reported at login. */
  readonly parameters = new Map<string, string>()
  cancelKey = { pid: 0, secret: 0 }

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.hasEnded = true
      this.#wake()
    })
  }

  /** Opens a connection on which nothing has been sent yet. */
  static async connect({ host, port }: RawAddress): Promise<RawClient> {
    const socket = connect({ host, port, noDelay: true })
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  /** Uses an existing connection. */
  static over(socket: Socket): RawClient {
    return new RawClient(socket)
  }

  /** Logs in without a password and returns when the server is ready, or throws the server's error. */
  async logIn(parameters: Readonly<Record<string, string>>): Promise<void> {
    this.send(startup(parameters))
    for (const { type, body, line } of await this.repliesUntil('Z')) {
      if (type === 'E') throw new Error(line)
      if (type === 'S') {
        const [name = '', value = ''] = texts(body)
        this.parameters.set(name, value)
      }
      if (type === 'K') this.cancelKey = { pid: body.readInt32BE(0), secret: body.readInt32BE(4) }
    }
  }

  send(...messages: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(messages))
  }

  /** Sends the messages and returns the lines up to the last ReadyForQuery that they ask for. */
  async ask(...messages: readonly Uint8Array[]): Promise<string[]> {
    this.send(...messages)
    return this.lines(countReady(Buffer.concat(messages)))
  }

  /** Returns the lines up to the `count`th ReadyForQuery, or up to the end of the connection. */
  async lines(count = 1): Promise<string[]> {
    const lines: string[] = []
    for (let left = count; left > 0; left--) lines.push(...(await this.repliesUntil('Z')).map(({ line }) => line))
    return lines
  }

  /** Returns the replies up to the next message of that type, or up to the end of the connection. */
  async repliesUntil(type: string): Promise<Reply[]> {
    const replies: Reply[] = []
    for (let reply = await this.next(); reply !== null; reply = await this.next()) {
      replies.push(reply)
      if (reply.type === type) break
    }
    return replies
  }

  /** Returns the next reply; null at the end of the connection. */
  async next(): Promise<Reply | null> {
    while (this.#replies.length === 0 && !this.hasEnded)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    return this.#replies.shift() ?? null
  }

  /** Returns the lines up to the end of the connection. */
  async rest(): Promise<string[]> {
    const lines: string[] = []
    for (let reply = await this.next(); reply !== null; reply = await this.next()) lines.push(reply.line)
    return lines
  }

  /** Sends Terminate and closes the connection. */
  async end(): Promise<void> {
    if (this.hasEnded) return
    this.socket.end(serialize.end())
    this.socket.resume()
    await until('the connection is closed', () => this.hasEnded)
  }

  /** Resets the connection without a Terminate. */
  vanish(): void {
    this.socket.resetAndDestroy()
  }

  /** Returns the answer to an encryption request: one byte without a header. */
  async byte(): Promise<string> {
    await until('a byte has come', () => this.#pending.length > 0 || this.hasEnded)
    const [byte = 0] = this.#pending
    this.#pending = this.#pending.subarray(1)
    return String.fromCharCode(byte)
  }

  #read(chunk: Buffer): void {
    let bytes = this.#skip(chunk)
    if (this.#pending.length > 0) bytes = Buffer.concat([this.#pending, bytes])
    while (bytes.length >= 5) {
      const length = 1 + bytes.readInt32BE(1)
      const type = String.fromCharCode(bytes[0] as number)
      if (length > KEPT_BYTES) {
        this.#skipping = { line: `${NAMES[type] ?? type} of ${length} bytes`, type, left: length }
        bytes = this.#skip(bytes)
        continue
      }
      if (bytes.length < length) break
      const body = Buffer.from(bytes.subarray(5, length))
      this.#replies.push({ type, body, line: describe(type, body) })
      bytes = bytes.subarray(length)
    }
    this.#pending = Buffer.from(bytes)
    this.#wake()
  }

  /** Drops the bytes of a message that is too large to be kept, and returns the rest. */
  #skip(bytes: Buffer): Buffer {
    const skipping = this.#skipping
    if (skipping === null) return bytes
    const { line, type } = skipping
    const dropped = Math.min(skipping.left, bytes.length)
    skipping.left -= dropped
    if (skipping.left === 0) {
      this.#skipping = null
      this.#replies.push({ type, body: Buffer.alloc(0), line })
    }
    return bytes.subarray(dropped)
  }
}

/** Of larger messages, only the length is kept. */
const KEPT_BYTES = 2_000_000

/** Messages that a client sends; all others are in pg-protocol's `serialize`. */
export function startup(parameters: Readonly<Record<string, string>>, version = 0x0003_0000): Buffer {
  const texts = [...Object.entries(parameters).flat(), ''].map((text) => Buffer.from(`${text}\0`))
  const body = Buffer.concat(texts)
  const header = Buffer.alloc(8)
  header.writeInt32BE(header.length + body.length)
  header.writeInt32BE(version, 4)
  return Buffer.concat([header, body])
}

/** Parse, Bind, Execute and Sync of one statement with values in text format. */
export function extended(text: string, values: readonly (string | null)[] = []): Buffer {
  return Buffer.concat([
    serialize.parse({ text }),
    serialize.bind({ values: [...values] }),
    serialize.execute(),
    serialize.sync(),
  ])
}

/** Any message: its type, its length, its body. */
export function message(type: string, body: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(5)
  header.write(type, 'latin1')
  header.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([header, body])
}

/** Counts the messages that are answered with ReadyForQuery: Query, Sync, FunctionCall. */
function countReady(messages: Buffer): number {
  let count = 0
  for (let at = 0; at < messages.length; at += 1 + messages.readInt32BE(at + 1))
    if ('QSF'.includes(String.fromCharCode(messages[at] as number))) count++
  return count
}

const NAMES: Readonly<Record<string, string>> = {
  '1': 'ParseComplete',
  '2': 'BindComplete',
  '3': 'CloseComplete',
  A: 'NotificationResponse',
  C: 'CommandComplete',
  D: 'DataRow',
  E: 'ErrorResponse',
  G: 'CopyInResponse',
  H: 'CopyOutResponse',
  I: 'EmptyQueryResponse',
  K: 'BackendKeyData',
  N: 'NoticeResponse',
  R: 'Authentication',
  S: 'ParameterStatus',
  T: 'RowDescription',
  V: 'FunctionCallResponse',
  W: 'CopyBothResponse',
  Z: 'ReadyForQuery',
  c: 'CopyDone',
  d: 'CopyData',
  n: 'NoData',
  s: 'PortalSuspended',
  t: 'ParameterDescription',
  v: 'NegotiateProtocolVersion',
}

function describe(type: string, body: Buffer): string {
  const said = say(type, body)
  return said === '' ? (NAMES[type] ?? type) : `${NAMES[type] ?? type} ${said}`
}

function say(type: string, body: Buffer): string {
  switch (type) {
    case 'C':
      return texts(body)[0] ?? ''
    case 'D':
      return cells(body).join('|')
    case 'E':
    case 'N': {
      const fields = errorFields(body)
      return [fields['S'] === 'ERROR' || type === 'N' ? '' : fields['S'], fields['C'], fields['M']]
        .filter(Boolean)
        .join(' ')
    }
    case 'A':
      return texts(body.subarray(4)).join(' ')
    case 'R':
      return String(body.readInt32BE(0))
    case 'S':
      return texts(body).join('=')
    case 'T':
      return columns(body).join('|')
    case 't':
      return Array.from({ length: body.readInt16BE(0) }, (_, index) => body.readInt32BE(2 + 4 * index)).join('|')
    case 'Z':
      return body.toString('latin1')
    case 'd':
      return body.length > 100 ? `${body.length} bytes` : body.toString()
    default:
      return ''
  }
}

/** The fields of an error, by the letters in https://www.postgresql.org/docs/current/protocol-error-fields.html */
export function errorFields(body: Buffer): Record<string, string> {
  return Object.fromEntries(texts(body).map((field) => [field.slice(0, 1), field.slice(1)]))
}

export function texts(body: Buffer): string[] {
  return body
    .toString()
    .split('\0')
    .filter((text) => text !== '')
}

function cells(body: Buffer): string[] {
  const values: string[] = []
  let at = 2
  for (let left = body.readInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at)
    values.push(length < 0 ? 'null' : length > 100 ? `${length} bytes` : body.toString('utf8', at + 4, at + 4 + length))
    at += 4 + Math.max(length, 0)
  }
  return values
}

/** The columns, each as `name:oid`. */
function columns(body: Buffer): string[] {
  const found: string[] = []
  let at = 2
  for (let left = body.readInt16BE(0); left > 0; left--) {
    const nameEnd = body.indexOf(0, at)
    found.push(`${body.toString('utf8', at, nameEnd)}:${body.readInt32BE(nameEnd + 7)}`)
    at = nameEnd + 19
  }
  return found
}
