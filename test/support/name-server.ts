/** A DNS server for tests: https://www.rfc-editor.org/rfc/rfc1035#section-4 */

import { createSocket } from 'node:dgram'
import { onTestFinished } from 'vitest'

const TYPES: Readonly<Record<number, 'A' | 'SOA'>> = { 1: 'A', 6: 'SOA' }
const ANSWER = 0x8180
const FAILURE = 2
const NO_SUCH_NAME = 3
const HEADER_BYTES = 12

export class NameServer {
  /** Such as `127.0.0.1:5353`. */
  readonly address: string
  /** IPv4 addresses by name. */
  readonly hosts = new Map<string, readonly string[]>()
  /** Serial numbers by zone. */
  readonly zones = new Map<string, number>()
  /** Names for which it answers with a failure. */
  readonly broken = new Set<string>()
  lifetimeSeconds = 3600
  /** The questions so far, such as `A db.test`. */
  readonly questions: string[] = []

  constructor(port: number) {
    this.address = `127.0.0.1:${port}`
  }

  answer(query: Buffer): Buffer {
    const { name, type, end } = readQuestion(query)
    this.questions.push(`${type} ${name}`)
    const records = this.#records(name, type)
    const isKnown = this.hosts.has(name) || this.zones.has(name)
    const problem = this.broken.has(name) ? FAILURE : NO_SUCH_NAME
    const header = Buffer.alloc(HEADER_BYTES)
    query.copy(header, 0, 0, 2)
    header.writeUInt16BE(isKnown ? ANSWER : ANSWER | problem, 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(records.length, 6)
    return Buffer.concat([header, query.subarray(HEADER_BYTES, end), ...records])
  }

  #records(name: string, type: string): Buffer[] {
    if (type === 'A')
      return (this.hosts.get(name) ?? []).map((host) => this.#record(1, Buffer.from(host.split('.').map(Number))))
    const serial = this.zones.get(name)
    if (type !== 'SOA' || serial === undefined) return []
    const numbers = Buffer.alloc(20)
    numbers.writeUInt32BE(serial, 0)
    // The two names in the record are the root.
    return [this.#record(6, Buffer.concat([Buffer.from([0, 0]), numbers]))]
  }

  #record(type: number, data: Buffer): Buffer {
    const head = Buffer.alloc(12)
    // A pointer to the name in the question.
    head.writeUInt16BE(0xc000 + HEADER_BYTES, 0)
    head.writeUInt16BE(type, 2)
    head.writeUInt16BE(1, 4)
    head.writeUInt32BE(this.lifetimeSeconds, 6)
    head.writeUInt16BE(data.length, 10)
    return Buffer.concat([head, data])
  }
}

function readQuestion(query: Buffer): { name: string; type: string; end: number } {
  const labels: string[] = []
  let at = HEADER_BYTES
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  const type = query.readUInt16BE(at + 1)
  return { name: labels.join('.').toLowerCase(), type: TYPES[type] ?? String(type), end: at + 5 }
}

/** Starts a server that is closed at the end of the test. */
export async function startNameServer(): Promise<NameServer> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => {
    socket.bind(0, '127.0.0.1', resolve)
  })
  const server = new NameServer(socket.address().port)
  socket.on('message', (query, { port, address }) => socket.send(server.answer(query), port, address))
  onTestFinished(() => {
    socket.close()
  })
  return server
}
