/** The scripted Postgres of flow tests: accepts connections, logs them in, and then sends what the test tells it to. */

import type { Address, Listener } from '../../../src/net/channel.ts'
import type { MemoryChannel, MemoryTransport } from '../../../src/net/memory-transport.ts'
import { Cutter, Inbox, quiet, until } from './inbox.ts'
import { type Request, RequestReader } from './reading.ts'
import { authenticationOk, backendKeyData, error, join, parameterStatus, ready } from './replies.ts'

export const POSTGRES: Address = { host: 'db', port: 5432 }

/** The settings that this Postgres reports by default. */
export const DEFAULTS: Readonly<Record<string, string>> = {
  server_version: '17.5',
  server_encoding: 'UTF8',
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  TimeZone: 'Etc/UTC',
  IntervalStyle: 'postgres',
  standard_conforming_strings: 'on',
  application_name: '',
  in_hot_standby: 'off',
}

/** What a connection does once its startup packet has arrived. */
export type LoginScript = (server: FlowServer) => void

/** Lets everybody in, as `trust` does. */
export const letIn: LoginScript = (server) => server.welcome()

export interface CancelSeen {
  readonly pid: number
  readonly secret: Buffer
  /** The server that has this key; null if there is none. */
  readonly target: FlowServer | null
  readonly channel: MemoryChannel
}

export class FlowPostgres {
  /** All server connections, in the order in which they were opened. */
  readonly servers: FlowServer[] = []
  readonly cancels: CancelSeen[] = []
  /** Whether cancel requests are answered (by closing their connection) only by `finishCancels`. */
  holdsCancels = false
  login: LoginScript = letIn
  /** Handles each request to a server, for tests that do not script them one by one. */
  onRequest: ((server: FlowServer, request: Request) => void) | null = null
  readonly address: Address
  readonly #transport: MemoryTransport
  readonly #reader = new RequestReader()
  #listener: Listener | null = null
  #taken = 0

  constructor(transport: MemoryTransport, address: Address = POSTGRES) {
    this.#transport = transport
    this.address = address
  }

  async listen(): Promise<void> {
    const keepAlive = { isOn: false, idleMs: 0 }
    this.#listener = await this.#transport.listen({ ...this.address, backlog: 1, keepAlive }, (channel) =>
      this.#accept(channel),
    )
  }

  /** Refuses connections from now on. */
  refuse(): void {
    this.#listener?.close()
    this.#listener = null
  }

  /** Returns the next server connection that the test has not taken yet. */
  async next(): Promise<FlowServer> {
    await until(
      () => this.servers.length > this.#taken,
      () => `no further server was opened, after ${this.#taken}`,
    )
    return this.servers[this.#taken++] as FlowServer
  }

  /** Waits until everything is quiet, and expects no server connection that the test has not taken. */
  async expectNoMore(): Promise<void> {
    await quiet()
    const more = this.servers.length - this.#taken
    if (more > 0) throw new Error(`${more} more servers were opened than expected`)
  }

  get open(): FlowServer[] {
    return this.servers.filter((server) => server.inbox.ending === 'none')
  }

  async nextCancel(): Promise<CancelSeen> {
    const seen = this.#cancelsTaken
    await until(
      () => this.cancels.length > seen,
      () => 'no cancel request came',
    )
    this.#cancelsTaken++
    return this.cancels[seen] as CancelSeen
  }

  #cancelsTaken = 0

  async expectNoCancel(): Promise<void> {
    await quiet()
    if (this.cancels.length > this.#cancelsTaken) throw new Error('a cancel request came')
  }

  /** Closes the connections of all cancel requests, as Postgres does once it has handled them. */
  finishCancels(): void {
    this.holdsCancels = false
    for (const { channel } of this.cancels) if (channel.isOpen) channel.close()
  }

  #accept(channel: MemoryChannel): void {
    let first = Buffer.alloc(0)
    channel.listener = {
      onRead: (buffer, start, end) => {
        first = Buffer.concat([first, buffer.subarray(start, end)])
        if (first.length < 4 || first.length < first.readInt32BE(0)) return
        if (first.readInt32BE(4) === 80_877_102) this.#cancel(channel, first)
        else this.#begin(channel, first)
      },
      onDrained: () => {},
      onClosed: () => {},
    }
  }

  #cancel(channel: MemoryChannel, packet: Buffer): void {
    const pid = packet.readInt32BE(8)
    const secret = Buffer.from(packet.subarray(12))
    const target = this.servers.find((server) => server.pid === pid && server.secret.equals(secret)) ?? null
    this.cancels.push({ pid, secret, target, channel })
    if (!this.holdsCancels) channel.close()
  }

  #begin(channel: MemoryChannel, packet: Buffer): void {
    const server = new FlowServer(
      this.servers.length + 1,
      channel,
      startupParameters(packet),
      this.#reader,
      (request) => this.onRequest?.(server, request),
    )
    this.servers.push(server)
    this.login(server)
  }
}

export class FlowServer {
  readonly id: number
  readonly inbox: Inbox<Request>
  readonly channel: MemoryChannel
  readonly parameters: ReadonlyMap<string, string>
  readonly pid: number
  readonly secret: Buffer
  /** Whether to ignore what arrives. */
  isDeaf = false
  readonly #cutter: Cutter

  constructor(
    id: number,
    channel: MemoryChannel,
    parameters: ReadonlyMap<string, string>,
    reader: RequestReader,
    onRequest: (request: Request) => void,
  ) {
    this.id = id
    this.channel = channel
    this.parameters = parameters
    this.inbox = new Inbox<Request>(`server ${id}`)
    this.pid = 7000 + id
    this.secret = Buffer.from([0xca, 0xfe, 0, id])
    this.#cutter = new Cutter((frame) => {
      const request = reader.read(frame)
      this.inbox.add(request)
      onRequest(request)
    })
    channel.listener = {
      onRead: (buffer, start, end) => {
        if (!this.isDeaf) this.#cutter.add(Buffer.from(buffer.subarray(start, end)))
      },
      onDrained: () => {},
      onClosed: (problem) => {
        this.inbox.ending = problem ? 'reset' : 'fin'
      },
    }
  }

  /** The number of bytes of a message that has arrived only in part. */
  get pendingBytes(): number {
    return this.#cutter.pendingBytes
  }

  /** Sends all messages in one write. */
  send(...messages: readonly Buffer[]): void {
    const bytes = Buffer.concat(messages)
    this.channel.write(bytes, 0, bytes.length)
  }

  /** Reports that its query was canceled. */
  endCancelled(): void {
    this.send(error('57014', 'canceling statement due to user request'), ready())
  }

  async sendPieces(pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) {
      this.send(piece)
      await quiet(1)
    }
  }

  /** Ends a login: sends AuthenticationOk, the settings, the cancel key and ReadyForQuery. */
  welcome(parameters: Readonly<Record<string, string>> = DEFAULTS): void {
    const reported = Object.entries(parameters).map(([name, value]) => parameterStatus(name, value))
    this.send(authenticationOk, join(...reported), backendKeyData(this.pid, this.secret), ready())
  }

  expect(...expected: readonly string[]): Promise<Request> {
    return this.inbox.expect(...expected)
  }

  expectNothing(): Promise<void> {
    return this.inbox.expectNothing()
  }

  /** Expects the pooler to close this connection, with or without a Terminate. */
  async expectClosed(): Promise<void> {
    await until(
      () => this.inbox.ending !== 'none',
      () => `server ${this.id} was not closed`,
    )
    const rest = this.inbox.take().filter((request) => request.name !== 'Terminate')
    if (rest.length > 0)
      throw new Error(
        `server ${this.id} was sent ${rest.map((request) => request.shown).join(', ')} before it was closed`,
      )
  }

  get isClosed(): boolean {
    return this.inbox.ending !== 'none'
  }

  /** Ends the connection, like a backend that exits. */
  close(): void {
    this.channel.close()
  }

  reset(): void {
    this.channel.reset()
  }

  stopReading(): void {
    this.channel.pause()
  }

  startReading(): void {
    this.channel.resume()
  }
}

function startupParameters(packet: Buffer): ReadonlyMap<string, string> {
  const texts = packet.toString('utf8', 8).split('\0')
  const parameters = new Map<string, string>()
  for (let at = 0; at + 1 < texts.length && texts[at] !== ''; at += 2)
    parameters.set(texts[at] as string, texts[at + 1] as string)
  return parameters
}
