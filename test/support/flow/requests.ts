/** Builds what clients send in flow tests, with pg-protocol where possible, so that our own codec is not tested against itself. */

import { serialize } from 'pg-protocol'

export function query(text: string): Buffer {
  return serialize.query(text)
}

export function parse(name: string, text: string, types: number[] = []): Buffer {
  return serialize.parse({ name, text, types })
}

export function bind(portal: string, statement: string, ...values: (string | Buffer | null)[]): Buffer {
  return serialize.bind({ portal, statement, values })
}

/** A Bind that gives the text format for each of `columns` result columns. */
export function bindFor(columns: number, portal: string, statement: string): Buffer {
  const counts = Buffer.alloc(2 + 2 + 2 + 2 * columns)
  counts.writeInt16BE(columns, 4)
  return message('B', Buffer.concat([Buffer.from(`${portal}\0${statement}\0`), counts]))
}

export function describeStatement(name: string): Buffer {
  return serialize.describe({ type: 'S', name })
}

export function describePortal(name = ''): Buffer {
  return serialize.describe({ type: 'P', name })
}

/** `rows` limits the number of rows; 0: no limit. */
export function execute(portal = '', rows = 0): Buffer {
  return serialize.execute({ portal, rows })
}

export function closeStatement(name: string): Buffer {
  return serialize.close({ type: 'S', name })
}

export function closePortal(name: string): Buffer {
  return serialize.close({ type: 'P', name })
}

export const sync = serialize.sync()
export const flush = serialize.flush()
export const terminate = serialize.end()
export const copyDone = serialize.copyDone()

export function copyFail(reason: string): Buffer {
  return serialize.copyFail(reason)
}

export function functionCall(oid: number): Buffer {
  const body = Buffer.alloc(10)
  body.writeInt32BE(oid, 0)
  return message('F', body)
}

export function password(text: string): Buffer {
  return serialize.password(text)
}

/** A message of any type. `claimed` sets another length than the real one. */
export function message(type: string, body: Buffer = Buffer.alloc(0), claimed = body.length + 4): Buffer {
  const header = Buffer.alloc(5)
  header.write(type, 'latin1')
  header.writeInt32BE(claimed, 1)
  return Buffer.concat([header, body])
}

/** A whole batch: Parse, Bind and Execute of the text without names, and Sync. */
export function batch(text: string): Buffer {
  return Buffer.concat([parse('', text), bind('', ''), execute(), sync])
}

export const PROTOCOL_3_0 = 0x0003_0000

export function startup(parameters: Readonly<Record<string, string>>, version = PROTOCOL_3_0): Buffer {
  const texts = Object.entries(parameters).flat()
  return packet(version, Buffer.from(`${texts.map((text) => `${text}\0`).join('')}\0`))
}

/** A first packet of a connection, which has no type. */
export function packet(code: number, body: Buffer = Buffer.alloc(0), claimed = body.length + 8): Buffer {
  const header = Buffer.alloc(8)
  header.writeInt32BE(claimed, 0)
  header.writeInt32BE(code, 4)
  return Buffer.concat([header, body])
}

export const sslRequest = packet(80_877_103)
export const gssRequest = packet(80_877_104)

export function cancelRequest({ pid, secret }: CancelKey): Buffer {
  const body = Buffer.alloc(4)
  body.writeInt32BE(pid)
  return packet(80_877_102, Buffer.concat([body, secret]))
}

export interface CancelKey {
  readonly pid: number
  readonly secret: Buffer
}
